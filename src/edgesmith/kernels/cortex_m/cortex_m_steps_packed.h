/* The steps of a tile whose weights have four or two bits: cortex_m_columns_dsp.h; how they are packed:
 * cortex_m_columns.h. Lanes of S are codes a + 2^bits * b, those of A are the codes a. Sums begin at minus the part that
 * the offset of the codes adds, c = 2^(bits-1) * sum(x), which the tile has in carry: A at bias - c, S 2^bits * c below. */
#ifndef EDGESMITH_CORTEX_M_STEPS_PACKED_H
#define EDGESMITH_CORTEX_M_STEPS_PACKED_H

#if ES_BITS == 4
#define SPLIT_AT "4"
#define CODES_A "#0x000f000f" /* of both lanes */
#else
#define SPLIT_AT "2"
#define CODES_A "#0x00030003"
#define CODES_S "#0x000f000f"
#endif

/* Sums are lifted by r12 = max(33 - s, 0), and r3 = max(s - 33, 0) (cortex_m_lift.h). */
#define SHIFT(s)                                   \
    "rsb r3, " s ", #33\n"                         \
    "bic r12, r3, r3, asr #31\n"                   \
    "sub r3, r12, r3\n"
#define LIFT(sum) "lsl " sum ", " sum ", r12\n"

#define CHUNKED
#define CHUNKS4
#define CHUNKS2
#define CHUNKS1

#define START(a, s, c)                             \
    "sub " a ", r4, " c "\n"                       \
    "sub " s ", " a ", " c ", lsl #" SPLIT_AT "\n"
#define STARTS1                                    \
    "ldr r2, [sp, #52]\n"                          \
    START("r4", "r8", "r2")
#define STARTS2                                    \
    "ldrd r2, r3, [sp, #52]\n"                     \
    START("r5", "r9", "r3")                        \
    START("r4", "r8", "r2")
#define STARTS4                                    \
    "ldrd r12, lr, [sp, #60]\n"                    \
    START("r7", "r11", "lr")                       \
    START("r6", "r10", "r12")                      \
    STARTS2

/* Lanes v of S and u of A from the word of weights in r12; v may be r12 itself. */
#if ES_BITS == 4
#define FIRST(v, u)                                \
    "uxtb16 " v ", r12\n"                          \
    "and " u ", " v ", " CODES_A "\n"
#define SECOND(v, u)                               \
    "uxtb16 " v ", r12, ror #8\n"                  \
    "and " u ", " v ", " CODES_A "\n"
#else
#define CODES(v, u, from)                          \
    "and " u ", " from ", " CODES_A "\n"           \
    "and " v ", " from ", " CODES_S "\n"
#define SHIFTED(v, u, places)                      \
    "lsr " v ", r12, #" places "\n"                \
    CODES(v, u, v)
#define FIRST(v, u) CODES(v, u, "r12")
#endif

/* Two activations of four pixels: 16 multiply-accumulates. There is no register to keep the word of weights in. */
#define LANES4(weights)                            \
    weights                                        \
    "ldrd r2, r3, [r0], #8\n"                      \
    "smlad r8, r2, r12, r8\n"                      \
    "smlad r9, r3, r12, r9\n"                      \
    "smlad r4, r2, lr, r4\n"                       \
    "smlad r5, r3, lr, r5\n"                       \
    "ldrd r2, r3, [r0], #8\n"                      \
    "smlad r10, r2, r12, r10\n"                    \
    "smlad r11, r3, r12, r11\n"                    \
    "smlad r6, r2, lr, r6\n"                       \
    "smlad r7, r3, lr, r7\n"
#define TAKE "ldr r12, [r1], #4\n"
#define AGAIN "ldr r12, [r1, #-4]\n"

/* The same of two pixels, and of one: 8 and 4. */
#define LANES2(weights)                            \
    weights                                        \
    "ldrd r2, r3, [r0], #8\n"                      \
    "smlad r8, r2, r6, r8\n"                       \
    "smlad r9, r3, r6, r9\n"                       \
    "smlad r4, r2, lr, r4\n"                       \
    "smlad r5, r3, lr, r5\n"
#define LANES1(x, weights)                         \
    weights                                        \
    "smlad r8, " x ", r6, r8\n"                    \
    "smlad r4, " x ", lr, r4\n"

#if ES_BITS == 4 /* four pixels: 32 in 26 instructions */
#define ONE4 LANES4(TAKE FIRST("r12", "lr")) LANES4(AGAIN SECOND("r12", "lr"))
#define ONE2 TAKE LANES2(FIRST("r6", "lr")) LANES2(SECOND("r6", "lr"))
#define ONE1                                       \
    TAKE                                           \
    "ldrd r2, r3, [r0], #8\n"                      \
    LANES1("r2", FIRST("r6", "lr")) LANES1("r3", SECOND("r6", "lr"))
#define MANY(step) ".rept 4\n" step ".endr\n"
#else /* 64 in 55 */
#define ONE4                                       \
    LANES4(TAKE FIRST("r12", "lr"))                \
    ".irp places, 8, 4, 12\n"                      \
    LANES4(AGAIN SHIFTED("r12", "lr", "\\places"))  \
    ".endr\n"
#define ONE2                                       \
    TAKE LANES2(FIRST("r6", "lr"))                 \
    ".irp places, 8, 4, 12\n"                      \
    LANES2(SHIFTED("r6", "lr", "\\places"))         \
    ".endr\n"
#define ONE1                                       \
    TAKE                                           \
    "ldmia r0!, {r2, r3, r5, r7}\n"                \
    LANES1("r2", FIRST("r6", "lr")) LANES1("r3", SHIFTED("r6", "lr", "8")) \
    LANES1("r5", SHIFTED("r6", "lr", "4")) LANES1("r7", SHIFTED("r6", "lr", "12"))
#define MANY(step) ".rept 2\n" step ".endr\n"
#endif
/* ES_MAIN_WORDS of a column at once. */
#define MANY4 MANY(ONE4)
#define MANY2 MANY(ONE2)
#define MANY1 MANY(ONE1)
#define MAIN_END1 "r11"

#endif

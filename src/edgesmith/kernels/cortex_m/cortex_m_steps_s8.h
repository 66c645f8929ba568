/* The steps of a tile whose weights are bytes: cortex_m_columns_dsp.h. Long sums go in chunks of ES_CHUNK_WORDS. */
#ifndef EDGESMITH_CORTEX_M_STEPS_S8_H
#define EDGESMITH_CORTEX_M_STEPS_S8_H

#define SPLIT_AT "8"

#define SHIFT(s) "subs r3, " s ", #33\n"
#define LIFT(sum)

#define STARTS1 "mov r8, r4\n"
#define STARTS2                                    \
    "mov r5, r4\n"                                 \
    "mov r8, r4\n"                                 \
    "mov r9, r4\n"
#define STARTS4                                    \
    STARTS2                                        \
    "mov r6, r4\n"                                 \
    "mov r7, r4\n"                                 \
    "mov r10, r4\n"                                \
    "mov r11, r4\n"

/* Two activations of four pixels: 16 multiply-accumulates in 12 instructions. */
#define STEP4                                      \
    "ldr r12, [r1], #4\n"                          \
    "ldrd r2, r3, [r0], #8\n"                      \
    "sxtb16 lr, r12\n"                             \
    "smlad r8, r2, r12, r8\n"                      \
    "smlad r9, r3, r12, r9\n"                      \
    "smlad r4, r2, lr, r4\n"                       \
    "smlad r5, r3, lr, r5\n"                       \
    "ldrd r2, r3, [r0], #8\n"                      \
    "smlad r10, r2, r12, r10\n"                    \
    "smlad r11, r3, r12, r11\n"                    \
    "smlad r6, r2, lr, r6\n"                       \
    "smlad r7, r3, lr, r7\n"
#define MANY4 ".rept 4\n" STEP4 ".endr\n"
#define ONE4 STEP4

/* Two pixels, four activations: 16 multiply-accumulates in 13 instructions. r6, r7 are free. */
#define STEP2                                      \
    "ldrd r2, r3, [r0], #8\n"                      \
    "ldrd r12, r6, [r1], #8\n"                     \
    "sxtb16 lr, r12\n"                             \
    "smlad r8, r2, r12, r8\n"                      \
    "smlad r9, r3, r12, r9\n"                      \
    "smlad r4, r2, lr, r4\n"                       \
    "smlad r5, r3, lr, r5\n"                       \
    "ldrd r2, r3, [r0], #8\n"                      \
    "sxtb16 lr, r6\n"                              \
    "smlad r8, r2, r6, r8\n"                       \
    "smlad r9, r3, r6, r9\n"                       \
    "smlad r4, r2, lr, r4\n"                       \
    "smlad r5, r3, lr, r5\n"
#define HALF_STEP2                                 \
    "ldrd r2, r3, [r0], #8\n"                      \
    "ldr r12, [r1], #4\n"                          \
    "sxtb16 lr, r12\n"                             \
    "smlad r8, r2, r12, r8\n"                      \
    "smlad r9, r3, r12, r9\n"                      \
    "smlad r4, r2, lr, r4\n"                       \
    "smlad r5, r3, lr, r5\n"
#define MANY2 ".rept 2\n" STEP2 ".endr\n"
#define ONE2 HALF_STEP2

/* One pixel, eight activations: 16 multiply-accumulates in 14 instructions. Only r4 and r8 are sums. */
#define QUARTER_STEP1(x, w)                        \
    "sxtb16 lr, " w "\n"                           \
    "smlad r8, " x ", " w ", r8\n"                 \
    "smlad r4, " x ", lr, r4\n"
#define MAIN_END1 "r12"
#define MANY1                                      \
    "ldmia r0!, {r2, r3, r5, r6}\n"                \
    "ldmia r1!, {r7, r9, r10, r11}\n"              \
    QUARTER_STEP1("r2", "r7") QUARTER_STEP1("r3", "r9") QUARTER_STEP1("r5", "r10") QUARTER_STEP1("r6", "r11")
#define ONE1                                       \
    "ldr r2, [r0], #4\n"                           \
    "ldr r7, [r1], #4\n"                           \
    QUARTER_STEP1("r2", "r7")

/* Branches to label 8 where the sums go in chunks. */
#define CHUNKED                                    \
    "ldr r2, [sp, #48]\n"                          \
    "cmp r2, #0\n"                                 \
    "bne 8f\n"
/* After a chunk: carry += (S - A) >> 8. */
#define CARRY(a, s, offset)                        \
    "sub " s ", " s ", " a "\n"                    \
    "ldr r3, [sp, #" offset "]\n"                  \
    "add " s ", r3, " s ", asr #8\n"               \
    "str " s ", [sp, #" offset "]\n"
#define RESTART(a, s) "mov " s ", " a "\n"
/* Last chunk: B = bias + carry, carry = 0 for the next pair; r2 = bias, r3 = 0. */
#define CARRIED(s, offset)                         \
    "add " s ", " s ", r2\n"                       \
    "str r3, [sp, #" offset "]\n"
/* Flags: this was the last chunk. */
#define AT_FINAL_END                               \
    "ldr r2, [sp, #48]\n"                          \
    "cmp r0, r2\n"
/* Ends of the chunk from r0 on, at most `bytes` long; `mask` clears what the unrolled loop cannot take. */
#define NEXT_CHUNK(bytes, mask)                    \
    "add r3, r0, #" bytes "\n"                     \
    "cmp r3, r2\n"                                 \
    "it hi\n"                                      \
    "movhi r3, r2\n"                               \
    "sub r2, r3, r0\n"                             \
    "bic r2, r2, #" mask "\n"                      \
    "add r2, r2, r0\n"                             \
    "strd r2, r3, [sp]\n"
/* Back to the first chunk, for the next pair. */
#define FIRST_CHUNK(bytes)                         \
    "ldr r2, [sp, #8]\n"                           \
    "add r2, r2, #" bytes "\n"                     \
    "mov r3, r2\n"                                 \
    "strd r2, r3, [sp]\n"                          \
    "ldr r2, [sp, #16]\n"                          \
    "movs r3, #0\n"

#define CHUNKS4                                    \
    "8:\n"                                         \
    CARRY("r4", "r8", "52") CARRY("r5", "r9", "56") CARRY("r6", "r10", "60") CARRY("r7", "r11", "64") \
    AT_FINAL_END                                   \
    "beq 9f\n"                                     \
    NEXT_CHUNK("4096", "63")                       \
    RESTART("r4", "r8") RESTART("r5", "r9") RESTART("r6", "r10") RESTART("r7", "r11") \
    "b 2b\n"                                       \
    "9:\n"                                         \
    FIRST_CHUNK("4096")                            \
    CARRIED("r8", "52") CARRIED("r9", "56") CARRIED("r10", "60") CARRIED("r11", "64") \
    "b 7b\n"
#define CHUNKS2                                    \
    "8:\n"                                         \
    CARRY("r4", "r8", "52") CARRY("r5", "r9", "56") \
    AT_FINAL_END                                   \
    "beq 9f\n"                                     \
    NEXT_CHUNK("2048", "31")                       \
    RESTART("r4", "r8") RESTART("r5", "r9")        \
    "b 2b\n"                                       \
    "9:\n"                                         \
    FIRST_CHUNK("2048")                            \
    CARRIED("r8", "52") CARRIED("r9", "56")        \
    "b 7b\n"
#define CHUNKS1                                    \
    "8:\n"                                         \
    CARRY("r4", "r8", "52")                        \
    AT_FINAL_END                                   \
    "beq 9f\n"                                     \
    NEXT_CHUNK("1024", "15")                       \
    RESTART("r4", "r8")                            \
    "b 2b\n"                                       \
    "9:\n"                                         \
    FIRST_CHUNK("1024")                            \
    CARRIED("r8", "52")                            \
    "b 7b\n"

#endif

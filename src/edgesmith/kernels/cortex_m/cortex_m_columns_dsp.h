/* Tiles of four, two and one pixels with the DSP instructions, all fourteen registers in use:
 *   r0 column, r1 weights, r4-r7 sums A, r8-r11 sums S, then B; r2, r3, r12, lr free.
 * On the stack lie the first 17 words of es_tile; the offsets below are theirs. Every shift is in [33, 54]. The
 * functions are weak: conv2d_s8 and linear_s8 both bring them, the linker keeps one copy. */
#ifndef EDGESMITH_CORTEX_M_COLUMNS_DSP_H
#define EDGESMITH_CORTEX_M_COLUMNS_DSP_H

/* Copies the tile to the stack; r1 = w. */
#define ENTER                                      \
    "push {r4-r11, lr}\n"                          \
    "sub sp, sp, #68\n"                            \
    "ldmia r0!, {r2-r11}\n"                        \
    "stmia sp, {r2-r11}\n"                         \
    "ldmia r0, {r2-r9}\n"                          \
    "add r0, sp, #40\n"                            \
    "stmia r0, {r2-r8}\n"                          \
    "mov r1, r9\n"

#define LEAVE                                      \
    "add sp, sp, #68\n"                            \
    "pop {r4-r11, pc}\n"

/* r0 = column, r4 = bias of A; the bias of B waits in second_bias. */
#define BIASES                                     \
    "ldrd r0, r2, [sp, #8]\n"                      \
    "ldrd r4, r3, [r2], #8\n"                      \
    "strd r2, r3, [sp, #12]\n"

/* multiplier r0, rounding constant r2 and shift r3 of channel B, then of channel A, which moves the pointers on. The
 * last bit of the shift is SSAT's. */
#define CHANNEL_B                                  \
    "ldrd r2, r3, [sp, #20]\n"                     \
    "ldr r0, [r2, #4]\n"                           \
    "ldrb r3, [r3, #1]\n"                          \
    "ldr r2, [sp, #36]\n"                          \
    "subs r3, r3, #33\n"                           \
    "lsls r2, r2, r3\n"
#define CHANNEL_A                                  \
    "ldrd r2, r3, [sp, #20]\n"                     \
    "ldr r0, [r2], #8\n"                           \
    "ldrb r12, [r3], #2\n"                         \
    "strd r2, r3, [sp, #20]\n"                     \
    "ldr r2, [sp, #36]\n"                          \
    "sub r3, r12, #33\n"                           \
    "lsls r2, r2, r3\n"
#define REQUANT(sum)                               \
    "smmla " sum ", " sum ", r0, r2\n"             \
    "asr " sum ", " sum ", r3\n"                   \
    "ssat " sum ", #8, " sum ", asr #1\n"

/* B = bias + ((S - A) >> 8), bias in r3. */
#define SPLIT(a, s)                                \
    "sub " s ", " s ", " a "\n"                    \
    "add " s ", r3, " s ", asr #8\n"

/* r12 = y, lr = y_step, r3 = second; y moves on by one pair. Channel B first: A overwrites it where there is none. */
#define OUTPUT                                     \
    "ldrd r12, lr, [sp, #28]\n"                    \
    "ldr r3, [sp, #40]\n"                          \
    "add r2, r12, #2\n"                            \
    "str r2, [sp, #28]\n"
#define STORE(a, b)                                \
    "strb " b ", [r12, r3]\n"                      \
    "strb " a ", [r12]\n"
#define NEXT_PIXEL "add r12, r12, lr\n"
/* Sets the flags for "bne": more pairs to come. */
#define MORE_PAIRS                                 \
    "ldr r2, [sp, #44]\n"                          \
    "cmp r1, r2\n"

/* Flags: chunk or unrolled part is done. */
#define AT_MAIN_END                                \
    "ldr r2, [sp]\n"                               \
    "cmp r0, r2\n"
#define AT_END                                     \
    "ldr r2, [sp, #4]\n"                           \
    "cmp r0, r2\n"

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

void es_tile4(const es_tile *t);
__attribute__((weak, naked)) void es_tile4(const es_tile *t __attribute__((unused))) {
    __asm__ volatile(
        ENTER
        "1:\n" BIASES
        "mov r5, r4\n"
        "mov r6, r4\n"
        "mov r7, r4\n"
        "mov r8, r4\n"
        "mov r9, r4\n"
        "mov r10, r4\n"
        "mov r11, r4\n"
        "2:\n" AT_MAIN_END
        "beq 4f\n"
        "3:\n" ".rept 4\n" STEP4 ".endr\n" AT_MAIN_END
        "bne 3b\n"
        "4:\n" AT_END
        "beq 6f\n"
        "5:\n" STEP4 AT_END
        "bne 5b\n"
        "6:\n"
        "ldr r2, [sp, #48]\n"
        "cmp r2, #0\n"
        "bne 8f\n"
        "ldr r3, [sp, #16]\n"
        SPLIT("r4", "r8") SPLIT("r5", "r9") SPLIT("r6", "r10") SPLIT("r7", "r11")
        "7:\n"
        CHANNEL_B REQUANT("r8") REQUANT("r9") REQUANT("r10") REQUANT("r11")
        CHANNEL_A REQUANT("r4") REQUANT("r5") REQUANT("r6") REQUANT("r7")
        OUTPUT STORE("r4", "r8") NEXT_PIXEL STORE("r5", "r9")
        NEXT_PIXEL STORE("r6", "r10") NEXT_PIXEL STORE("r7", "r11")
        MORE_PAIRS
        "bne 1b\n"
        LEAVE
        "8:\n"
        CARRY("r4", "r8", "52") CARRY("r5", "r9", "56") CARRY("r6", "r10", "60") CARRY("r7", "r11", "64")
        AT_FINAL_END
        "beq 9f\n"
        NEXT_CHUNK("4096", "63")
        RESTART("r4", "r8") RESTART("r5", "r9") RESTART("r6", "r10") RESTART("r7", "r11")
        "b 2b\n"
        "9:\n"
        FIRST_CHUNK("4096")
        CARRIED("r8", "52") CARRIED("r9", "56") CARRIED("r10", "60") CARRIED("r11", "64")
        "b 7b\n");
}

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

void es_tile2(const es_tile *t);
__attribute__((weak, naked)) void es_tile2(const es_tile *t __attribute__((unused))) {
    __asm__ volatile(
        ENTER
        "1:\n" BIASES
        "mov r5, r4\n"
        "mov r8, r4\n"
        "mov r9, r4\n"
        "2:\n" AT_MAIN_END
        "beq 4f\n"
        "3:\n" ".rept 2\n" STEP2 ".endr\n" AT_MAIN_END
        "bne 3b\n"
        "4:\n" AT_END
        "beq 6f\n"
        "5:\n" HALF_STEP2 AT_END
        "bne 5b\n"
        "6:\n"
        "ldr r2, [sp, #48]\n"
        "cmp r2, #0\n"
        "bne 8f\n"
        "ldr r3, [sp, #16]\n"
        SPLIT("r4", "r8") SPLIT("r5", "r9")
        "7:\n"
        CHANNEL_B REQUANT("r8") REQUANT("r9")
        CHANNEL_A REQUANT("r4") REQUANT("r5")
        OUTPUT STORE("r4", "r8") NEXT_PIXEL STORE("r5", "r9")
        MORE_PAIRS
        "bne 1b\n"
        LEAVE
        "8:\n"
        CARRY("r4", "r8", "52") CARRY("r5", "r9", "56")
        AT_FINAL_END
        "beq 9f\n"
        NEXT_CHUNK("2048", "31")
        RESTART("r4", "r8") RESTART("r5", "r9")
        "b 2b\n"
        "9:\n"
        FIRST_CHUNK("2048")
        CARRIED("r8", "52") CARRIED("r9", "56")
        "b 7b\n");
}

/* One pixel, eight activations: 16 multiply-accumulates in 14 instructions. Only r4 and r8 are sums. */
#define QUARTER_STEP1(x, w)                        \
    "sxtb16 lr, " w "\n"                           \
    "smlad r8, " x ", " w ", r8\n"                 \
    "smlad r4, " x ", lr, r4\n"
#define STEP1                                      \
    "ldmia r0!, {r2, r3, r5, r6}\n"                \
    "ldmia r1!, {r7, r9, r10, r11}\n"              \
    QUARTER_STEP1("r2", "r7") QUARTER_STEP1("r3", "r9") QUARTER_STEP1("r5", "r10") QUARTER_STEP1("r6", "r11")

void es_tile1(const es_tile *t);
__attribute__((weak, naked)) void es_tile1(const es_tile *t __attribute__((unused))) {
    __asm__ volatile(
        ENTER
        "1:\n" BIASES
        "mov r8, r4\n"
        "2:\n" AT_MAIN_END
        "beq 4f\n"
        "ldr r12, [sp]\n"
        "3:\n" STEP1
        "cmp r0, r12\n"
        "bne 3b\n"
        "4:\n" AT_END
        "beq 6f\n"
        "5:\n"
        "ldr r2, [r0], #4\n"
        "ldr r7, [r1], #4\n"
        QUARTER_STEP1("r2", "r7") AT_END
        "bne 5b\n"
        "6:\n"
        "ldr r2, [sp, #48]\n"
        "cmp r2, #0\n"
        "bne 8f\n"
        "ldr r3, [sp, #16]\n"
        SPLIT("r4", "r8")
        "7:\n"
        CHANNEL_B REQUANT("r8")
        CHANNEL_A REQUANT("r4")
        OUTPUT STORE("r4", "r8")
        MORE_PAIRS
        "bne 1b\n"
        LEAVE
        "8:\n"
        CARRY("r4", "r8", "52")
        AT_FINAL_END
        "beq 9f\n"
        NEXT_CHUNK("1024", "15")
        RESTART("r4", "r8")
        "b 2b\n"
        "9:\n"
        FIRST_CHUNK("1024")
        CARRIED("r8", "52")
        "b 7b\n");
}

/* Four activations as (x0,x2), (x1,x3). */
static inline void es_widen4(const int8_t *x, uint32_t *even, uint32_t *odd) {
    uint32_t v;
    __builtin_memcpy(&v, x, 4);
    *even = (uint32_t)__sxtb16((int32_t)v);
    *odd = (uint32_t)__sxtb16((int32_t)(v >> 8 | v << 24));
}

#endif

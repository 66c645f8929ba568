/* Tiles of four, two and one pixels with the DSP instructions, all fourteen registers in use:
 *   r0 column, r1 weights, r4-r7 sums A, r8-r11 sums S, then B; r2, r3, r12, lr free.
 * On the stack lie the first 17 words of es_tile; the offsets below are theirs. Every channel is usual. The
 * functions are weak: conv2d_s8 and linear_s8 both bring them, the linker keeps one copy. What depends on the width of
 * the weights comes from cortex_m_steps_s8.h or cortex_m_steps_packed.h: STARTS, the steps, where S is split (SPLIT_AT),
 * and what chunks take. */
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
 * last bit of the shift is SSAT's. SHIFT makes r3 of the channel's shift, and what LIFT needs. */
#define CHANNEL_B                                  \
    "ldrd r2, r3, [sp, #20]\n"                     \
    "ldr r0, [r2, #4]\n"                           \
    "ldrb r3, [r3, #1]\n"                          \
    "ldr r2, [sp, #36]\n"                          \
    SHIFT("r3")                                    \
    "lsls r2, r2, r3\n"
#define CHANNEL_A                                  \
    "ldrd r2, r3, [sp, #20]\n"                     \
    "ldr r0, [r2], #8\n"                           \
    "ldrb r12, [r3], #2\n"                         \
    "strd r2, r3, [sp, #20]\n"                     \
    "ldr r2, [sp, #36]\n"                          \
    SHIFT("r12")                                   \
    "lsls r2, r2, r3\n"
#define REQUANT(sum)                               \
    LIFT(sum)                                      \
    "smmla " sum ", " sum ", r0, r2\n"             \
    "asr " sum ", " sum ", r3\n"                   \
    "ssat " sum ", #8, " sum ", asr #1\n"

/* B = bias + ((S - A) >> SPLIT_AT), bias in r3. */
#define SPLIT(a, s)                                \
    "sub " s ", " s ", " a "\n"                    \
    "add " s ", r3, " s ", asr #" SPLIT_AT "\n"

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

#if ES_BITS == 8
#include "cortex_m_steps_s8.h"
#else
#include "cortex_m_steps_packed.h"
#endif

/* The steps of a chunk, the unrolled ones first. */
#define SUMS(enter, many, at_main_end, one)        \
    "2:\n" AT_MAIN_END                             \
    "beq 4f\n"                                     \
    enter                                          \
    "3:\n" many at_main_end                        \
    "bne 3b\n"                                     \
    "4:\n" AT_END                                  \
    "beq 6f\n"                                     \
    "5:\n" one AT_END                              \
    "bne 5b\n"                                     \
    "6:\n" CHUNKED                                 \
    "ldr r3, [sp, #16]\n"

void ES_TILE(4)(const es_tile *t);
__attribute__((weak, naked)) void ES_TILE(4)(const es_tile *t __attribute__((unused))) {
    __asm__ volatile(
        ENTER
        "1:\n" BIASES STARTS4
        SUMS("", MANY4, AT_MAIN_END, ONE4)
        SPLIT("r4", "r8") SPLIT("r5", "r9") SPLIT("r6", "r10") SPLIT("r7", "r11")
        "7:\n"
        CHANNEL_B REQUANT("r8") REQUANT("r9") REQUANT("r10") REQUANT("r11")
        CHANNEL_A REQUANT("r4") REQUANT("r5") REQUANT("r6") REQUANT("r7")
        OUTPUT STORE("r4", "r8") NEXT_PIXEL STORE("r5", "r9")
        NEXT_PIXEL STORE("r6", "r10") NEXT_PIXEL STORE("r7", "r11")
        MORE_PAIRS
        "bne 1b\n"
        LEAVE
        CHUNKS4);
}

void ES_TILE(2)(const es_tile *t);
__attribute__((weak, naked)) void ES_TILE(2)(const es_tile *t __attribute__((unused))) {
    __asm__ volatile(
        ENTER
        "1:\n" BIASES STARTS2
        SUMS("", MANY2, AT_MAIN_END, ONE2)
        SPLIT("r4", "r8") SPLIT("r5", "r9")
        "7:\n"
        CHANNEL_B REQUANT("r8") REQUANT("r9")
        CHANNEL_A REQUANT("r4") REQUANT("r5")
        OUTPUT STORE("r4", "r8") NEXT_PIXEL STORE("r5", "r9")
        MORE_PAIRS
        "bne 1b\n"
        LEAVE
        CHUNKS2);
}

void ES_TILE(1)(const es_tile *t);
__attribute__((weak, naked)) void ES_TILE(1)(const es_tile *t __attribute__((unused))) {
    __asm__ volatile(
        ENTER
        "1:\n" BIASES STARTS1
        SUMS("ldr " MAIN_END1 ", [sp]\n", MANY1, "cmp r0, " MAIN_END1 "\n", ONE1)
        SPLIT("r4", "r8")
        "7:\n"
        CHANNEL_B REQUANT("r8")
        CHANNEL_A REQUANT("r4")
        OUTPUT STORE("r4", "r8")
        MORE_PAIRS
        "bne 1b\n"
        LEAVE
        CHUNKS1);
}

/* sum and both lanes. */
static inline uint32_t es_add_lanes(uint32_t lanes, uint32_t sum) {
    return (uint32_t)__smlad((int32_t)lanes, 0x00010001, (int32_t)sum);
}

/* Four activations as (x0,x2), (x1,x3). */
static inline void es_widen4(const int8_t *x, uint32_t *even, uint32_t *odd) {
    uint32_t v;
    __builtin_memcpy(&v, x, 4);
    *even = (uint32_t)__sxtb16((int32_t)v);
    *odd = (uint32_t)__sxtb16((int32_t)(v >> 8 | v << 24));
}

#endif

/* A 3x3 window over one int16 plane: one channel of depthwise_conv2d_s8, stride 1 or 2, a band of rows.
 * Every shift is in [33, 54]. */
#ifndef EDGESMITH_CORTEX_M_WINDOW3X3_H
#define EDGESMITH_CORTEX_M_WINDOW3X3_H

#include <stddef.h>

#include "cortex_m_requant.h"

/* The assembly keeps the first ten words on its stack and the rest in registers. */
typedef struct {
    es_channel channel;
    int32_t bias[2];     /* twice the same */
    int32_t y_step;      /* from one output to the next */
    uintptr_t row_end;   /* of x, after the last output of a row; less 1 when stride is 1 and the width is even */
    int32_t row_gap;     /* bytes of x from there to the next row's window */
    int32_t row_step;    /* bytes of x from one row's window to the next */
    int32_t rows;
    int32_t pitch;       /* bytes of x from one row to the next, less those an output moves on */
    const int16_t *x;
    int32_t w[6];        /* (w0,w1), (w1,w2) of each row */
    int8_t *y;
} es_window3x3;

#if defined(__ARM_FEATURE_DSP)

typedef char es_window3x3_layout[offsetof(es_window3x3, pitch) == 40 && sizeof(es_window3x3) == 76 ? 1 : -1];

/* r0 = x, r1 = pitch, r4-r9 = w, lr = y. */
#define ENTER                                      \
    "push {r4-r11, lr}\n"                          \
    "sub sp, sp, #44\n"                            \
    "ldmia r0!, {r2-r11}\n"                        \
    "stmia sp, {r2-r11}\n"                         \
    "ldmia r0, {r1, r2, r4-r9, lr}\n"              \
    "mov r0, r2\n"

#define LEAVE                                      \
    "add sp, sp, #44\n"                            \
    "pop {r4-r11, pc}\n"

/* Cells (x0,x1), (x2,x3) of the three rows under an output; `next` bytes on is the next output. */
#define CELLS_TOP(next) "ldrd r2, r3, [r0], #" next "\n"
#define CELLS_MIDDLE(next)                         \
    "add r12, r0, r1\n"                            \
    "ldrd r2, r3, [r12], #" next "\n"
#define CELLS_BOTTOM                               \
    "add r12, r12, r1\n"                           \
    "ldrd r2, r3, [r12]\n"

/* Sums r10 and r11 of two outputs side by side. */
#define TWO(w01, w12)                              \
    "smlad r10, r2, " w01 ", r10\n"                \
    "smlatb r11, r2, " w01 ", r11\n"               \
    "smlabt r10, r3, " w12 ", r10\n"               \
    "smlad r11, r3, " w12 ", r11\n"
#define ONE(w01, w12)                              \
    "smlad r10, r2, " w01 ", r10\n"                \
    "smlabt r10, r3, " w12 ", r10\n"

/* r2 = multiplier, r3 = rounding constant, r12 = shift; its last bit is SSAT's. */
#define CHANNEL "ldmia sp, {r2, r3, r12}\n"
#define REQUANT(sum)                               \
    "smmla " sum ", " sum ", r2, r3\n"             \
    "asr " sum ", " sum ", r12\n"                  \
    "ssat " sum ", #8, " sum ", asr #1\n"

/* r2 = y_step; flags: r0 against the row's end. */
#define AT_ROW_END                                 \
    "ldrd r2, r3, [sp, #20]\n"                     \
    "cmp r0, r3\n"
/* Moves on to the next row; the flags tell "bne" that there is one. */
#define NEXT_ROW                                   \
    "ldrd r10, r11, [sp, #28]\n"                   \
    "add r0, r0, r10\n"                            \
    "add r3, r3, r11\n"                            \
    "ldr r12, [sp, #36]\n"                         \
    "str r3, [sp, #24]\n"                          \
    "subs r12, r12, #1\n"                          \
    "str r12, [sp, #36]\n"

/* 18 multiply-accumulates and two outputs in 32 instructions. At the end of a row of odd width r0 equals row_end and
 * there is no second output; of even width r0 is above it. */
static __attribute__((naked, noinline)) void run_stride_1(const es_window3x3 *t __attribute__((unused))) {
    __asm__ volatile(
        ENTER
        "1:\n"
        "ldrd r10, r11, [sp, #12]\n"
        CELLS_TOP("4") TWO("r4", "r5")
        CELLS_MIDDLE("4") TWO("r6", "r7")
        CELLS_BOTTOM TWO("r8", "r9")
        CHANNEL REQUANT("r10") REQUANT("r11")
        AT_ROW_END
        "strb r10, [lr]\n"
        "it ne\n"
        "strbne r11, [lr, r2]\n"
        "add lr, lr, r2, lsl #1\n"
        "blo 1b\n"
        "it eq\n"
        "subeq lr, lr, r2\n"
        NEXT_ROW
        "bne 1b\n"
        LEAVE);
}

static __attribute__((naked, noinline)) void run_stride_2(const es_window3x3 *t __attribute__((unused))) {
    __asm__ volatile(
        ENTER
        "1:\n"
        "ldr r10, [sp, #12]\n"
        CELLS_TOP("4") ONE("r4", "r5")
        CELLS_MIDDLE("4") ONE("r6", "r7")
        CELLS_BOTTOM ONE("r8", "r9")
        CHANNEL REQUANT("r10")
        AT_ROW_END
        "strb r10, [lr]\n"
        "add lr, lr, r2\n"
        "blo 1b\n"
        NEXT_ROW
        "bne 1b\n"
        LEAVE);
}

static inline int32_t es_two_weights(int32_t low, int32_t high) {
    return (int32_t)((uint32_t)(uint16_t)low | (uint32_t)high << 16);
}

#endif
#endif

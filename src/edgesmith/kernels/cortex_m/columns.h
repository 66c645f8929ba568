/* Dot products of columns of widened activations with packed weights, the core of conv2d_s8 and linear_s8.
 *
 * Column: the activations under one output pixel as int16, two to a word. P pixels lie interleaved: word j of pixel p is
 * at index j * P + p. A run of n contiguous activations takes (n+1)/2 words, fours in the order (x0,x2), (x1,x3) that
 * SXTB16 gives, the rest in sequence, an odd one out beside a 0.
 *
 * Packed weights: output channels in pairs (A, B), one pair after another. Each 16-bit lane holds a + 256 b, so
 * that one SMLAD with the raw word adds x*(a + 256 b) for two activations and one with its SXTB16 adds x*a:
 *     S = sum x*(a + 256 b),  A = sum x*a,  B = (S - A) >> 8           all modulo 2^32
 * B is exact while |B| < 2^23; sums over more than CHUNK_WORDS words are therefore taken in pieces
 * (128 * 127 * 2 * CHUNK_WORDS < 2^23). This halves the SXTB16 and weight loads of the usual scheme.
 * Channel B of a last odd pair has weights of 0 and is stored where A is, before A. */
#ifndef EDGESMITH_CORTEX_M_COLUMNS_H
#define EDGESMITH_CORTEX_M_COLUMNS_H

#include "requant.h"

enum { CHUNK_WORDS = 256 };

/* What a tile of P pixels needs beside its columns. */
typedef struct {
    const int32_t *bias, *multiplier;
    const uint8_t *shift;
    int32_t words, channels; /* words of one column; output channels */
    int32_t y_zero, y_step;  /* y_step: from one pixel's outputs to the next */
} es_tile;

#if defined(__ARM_FEATURE_DSP)

/* Two activations of four pixels by one weight word: 16 MACs in 12 instructions. */
#define STEP4                              \
    "ldr    %[w0], [%[w]], #4\n\t"         \
    "ldrd   %[x0], %[x1], [%[x]], #8\n\t"  \
    "sxtb16 %[w1], %[w0]\n\t"              \
    "smlad  %[s0], %[x0], %[w0], %[s0]\n\t" \
    "smlad  %[s1], %[x1], %[w0], %[s1]\n\t" \
    "smlad  %[a0], %[x0], %[w1], %[a0]\n\t" \
    "smlad  %[a1], %[x1], %[w1], %[a1]\n\t" \
    "ldrd   %[x0], %[x1], [%[x]], #8\n\t"  \
    "smlad  %[s2], %[x0], %[w0], %[s2]\n\t" \
    "smlad  %[s3], %[x1], %[w0], %[s3]\n\t" \
    "smlad  %[a2], %[x0], %[w1], %[a2]\n\t" \
    "smlad  %[a3], %[x1], %[w1], %[a3]\n\t"

/* Fourteen registers are in use, so the ends are compared from memory. */
static inline void dot4(const uint32_t **px, const int8_t **pw, const uint32_t *end, int32_t *a, int32_t *s) {
    const uint32_t *x = *px;
    const int8_t *w = *pw;
    const uint32_t *end4 = x + (((uint32_t)(end - x)) & ~15u);
    uint32_t x0, x1, w0, w1;
    __asm__ volatile(
        "ldr    %[x0], %[end4]\n\t"
        "cmp    %[x], %[x0]\n\t"
        "beq    2f\n"
        "1:\n\t" STEP4 STEP4 STEP4 STEP4
        "ldr    %[x0], %[end4]\n\t"
        "cmp    %[x], %[x0]\n\t"
        "bne    1b\n"
        "2:\n\t"
        "ldr    %[x0], %[end]\n\t"
        "cmp    %[x], %[x0]\n\t"
        "beq    4f\n"
        "3:\n\t" STEP4
        "ldr    %[x0], %[end]\n\t"
        "cmp    %[x], %[x0]\n\t"
        "bne    3b\n"
        "4:\n\t"
        : [x] "+r"(x), [w] "+r"(w), [a0] "+r"(a[0]), [a1] "+r"(a[1]), [a2] "+r"(a[2]), [a3] "+r"(a[3]), [s0] "+r"(s[0]),
          [s1] "+r"(s[1]), [s2] "+r"(s[2]), [s3] "+r"(s[3]), [x0] "=&r"(x0), [x1] "=&r"(x1), [w0] "=&r"(w0), [w1] "=&r"(w1)
        : [end4] "m"(end4), [end] "m"(end)
        : "cc", "memory");
    *px = x;
    *pw = w;
}

#endif
#endif

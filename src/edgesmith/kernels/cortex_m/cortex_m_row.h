/* Sums of one row of activations, read as it is, with two pairs of channels: a row that shares the weights with none
 * gains nothing from being widened into scratch first. Weights and sums are those of cortex_m_columns.h. Activations go
 * by steps of ES_STEP, those of a word of weights. */
#ifndef EDGESMITH_CORTEX_M_ROW_H
#define EDGESMITH_CORTEX_M_ROW_H

#include "cortex_m_columns.h"

enum { ES_ROW_PAIRS = 2, ES_STEP = ES_BITS == 2 ? 8 : 4 };

/* One pair's S and A over a part of the row. */
typedef struct {
    uint32_t s, a;
} es_row_sums;

#if ES_BITS == 8

/* What the offset of codes would add to each sum. */
static inline uint32_t es_row_offset(const int8_t *x, int32_t n) {
    (void)x;
    (void)n;
    return 0;
}

/* One lane of weights, a + 256 b. */
static inline __attribute__((always_inline)) void es_row_lane(es_row_sums *sums, int32_t x, const int8_t *w) {
    int16_t lane;
    __builtin_memcpy(&lane, w, 2);
    sums->s += (uint32_t)(x * lane);
    sums->a += (uint32_t)(x * (int8_t)lane);
}

/* The steps of activations from x to end, with the pairs at w and w + w_step. */
static __attribute__((noinline, unused)) void es_row_steps(const int8_t *x, const int8_t *end, const int8_t *w,
                                                           int32_t w_step, es_row_sums *sums) {
#if defined(__ARM_FEATURE_DSP)
    const int8_t *second = w + w_step;
    uint32_t s0 = 0, a0 = 0, s1 = 0, a1 = 0, even, odd, p, q;
    __asm__ volatile(
        "1:\n"
        "ldr %[odd], [%[x]], #4\n"
        "ldrd %[p], %[q], [%[w]], #8\n"
        "sxtb16 %[even], %[odd]\n"
        "sxtb16 %[odd], %[odd], ror #8\n"
        "smlad %[s0], %[even], %[p], %[s0]\n"
        "sxtb16 %[p], %[p]\n"
        "smlad %[a0], %[even], %[p], %[a0]\n"
        "smlad %[s0], %[odd], %[q], %[s0]\n"
        "sxtb16 %[q], %[q]\n"
        "smlad %[a0], %[odd], %[q], %[a0]\n"
        "ldrd %[p], %[q], [%[second]], #8\n"
        "cmp %[x], %[end]\n"
        "smlad %[s1], %[even], %[p], %[s1]\n"
        "sxtb16 %[p], %[p]\n"
        "smlad %[a1], %[even], %[p], %[a1]\n"
        "smlad %[s1], %[odd], %[q], %[s1]\n"
        "sxtb16 %[q], %[q]\n"
        "smlad %[a1], %[odd], %[q], %[a1]\n"
        "bne 1b\n"
        : [x] "+&r"(x), [w] "+&r"(w), [second] "+&r"(second), [s0] "+&r"(s0), [a0] "+&r"(a0), [s1] "+&r"(s1),
          [a1] "+&r"(a1), [even] "=&r"(even), [odd] "=&r"(odd), [p] "=&r"(p), [q] "=&r"(q)
        : [end] "r"(end)
        : "cc", "memory");
    sums[0] = (es_row_sums){s0, a0};
    sums[1] = (es_row_sums){s1, a1};
#else
    const int32_t bytes = (int32_t)(end - x);
    for (int32_t i = 0; i < ES_ROW_PAIRS; i++, x -= bytes, w += w_step - 2 * bytes) {
        es_row_sums pair = {0, 0};
        for (; x < end; x += 4, w += 8) { /* in the order of the weights' lanes */
            es_row_lane(&pair, x[0], w);
            es_row_lane(&pair, x[2], w + 2);
            es_row_lane(&pair, x[1], w + 4);
            es_row_lane(&pair, x[3], w + 6);
        }
        sums[i] = pair;
    }
#endif
}

/* The last one to three activations, whose lanes lie in sequence. */
static ES_COMPACT __attribute__((noinline, unused)) void es_row_rest(const int8_t *x, int32_t n, const int8_t *w,
                                                                     int32_t w_step, es_row_sums *sums) {
    for (; n > 0; n--, x++, w += 2) {
        for (int32_t i = 0; i < ES_ROW_PAIRS; i++) es_row_lane(sums + i, *x, w + i * w_step);
    }
}

#else

#include "cortex_m_row_packed.h"

#endif

/* acc[2 i] and acc[2 i + 1]: sums A and B over n activations of the pair at w + i * w_step. offset: es_row_offset. */
static inline void es_row_pairs(const int8_t *x, int32_t n, const int8_t *w, int32_t w_step, uint32_t offset,
                                uint32_t *acc) {
    for (int32_t i = 0; i < 2 * ES_ROW_PAIRS; i++) acc[i] = 0;
    for (int32_t chunk = ES_BITS == 8 ? 2 * ES_CHUNK_WORDS : n; n > 0; n -= chunk) {
        es_row_sums sums[ES_ROW_PAIRS] = {{0, 0}, {0, 0}};
        if (n < chunk) chunk = n;
        const int32_t steps = chunk & ~(ES_STEP - 1);
        if (steps > 0) es_row_steps(x, x + steps, w, w_step, sums);
        x += steps;
        w += steps * ES_BITS / 4;
        if (steps < chunk) es_row_rest(x, chunk - steps, w, w_step, sums);
        for (int32_t i = 0; i < ES_ROW_PAIRS; i++) {
            const uint32_t a = sums[i].a, above = sums[i].s - a - (offset << ES_BITS);
            acc[2 * i] += a - offset;
            acc[2 * i + 1] += (uint32_t)((int32_t)above >> ES_BITS);
        }
    }
}

#endif

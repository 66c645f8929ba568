/* Requantization on Cortex-M (docs/numbers.md), for the channels of a tile that share one multiplier and shift.
 *
 * For s >= 33 the rounding constant and the zero point are added in one go to the high word:
 *     zp + ((h + (1 << (s-33))) >> (s-32)) = (h + ((2 zp + 1) << (s-33))) >> (s-32),   h = hi32(acc * m)
 * which is SMMLA, ASR, SSAT. |h| < 2^30 and |2 zp + 1| < 2^8, so it cannot overflow for s <= 54. */
#ifndef EDGESMITH_CORTEX_M_REQUANT_H
#define EDGESMITH_CORTEX_M_REQUANT_H

#include <stdint.h>

#include "edgesmith_fixed.h"

#if defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>
#endif

/* For code outside the inner loops, which unrolling only makes longer. */
#if defined(__clang__)
#define ES_COMPACT __attribute__((minsize))
#else
#define ES_COMPACT
#endif

/* One channel's requantization, made once for several outputs. */
typedef struct {
    int32_t multiplier, bias; /* bias: rounding constant and zero point */
    int32_t shift;            /* right shift of the high word, s - 32 */
} es_channel;

/* Whether shift s can take the short way. */
static inline int es_shift_is_usual(uint32_t s) { return s - 33u <= 54u - 33u; }

static inline es_channel es_channel_of(int32_t multiplier, uint32_t s, int32_t y_zero) {
    const es_channel c = {multiplier, (int32_t)((uint32_t)(2 * y_zero + 1) << (s - 33u)), (int32_t)(s - 32u)};
    return c;
}

static inline int8_t es_saturate(int32_t v) {
#if defined(__ARM_FEATURE_DSP)
    return (int8_t)__ssat(v, 8);
#else
    return (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
#endif
}

/* High word of a * m, m >= 0. Armv6-M has no long multiplication, so there it is put together from halves. */
static inline int32_t es_high_word(int32_t a, int32_t m) {
#if defined(__ARM_ARCH_6M__)
    const int32_t a_low = a & 0xffff, a_high = a >> 16, m_low = m & 0xffff, m_high = m >> 16;
    const int32_t middle = a_high * m_low + (int32_t)((uint32_t)a_low * (uint32_t)m_low >> 16);
    return a_high * m_high + (middle >> 16) + ((a_low * m_high + (middle & 0xffff)) >> 16);
#else
    return (int32_t)(((int64_t)a * m) >> 32);
#endif
}

static inline int8_t es_channel_apply(es_channel c, int32_t acc) {
    return es_saturate((es_high_word(acc, c.multiplier) + c.bias) >> c.shift);
}

/* The long way: any m and s. */
static ES_COMPACT __attribute__((noinline, unused)) int8_t es_requant_any(int32_t acc, int32_t m, uint32_t s,
                                                                         int32_t y_zero) {
    return es_clamp8(y_zero + es_requant(acc, m, (uint8_t)s), -128, 127);
}

/* A fused activation narrower than int8: n outputs, already saturated to int8, clamped to [low, high] in place. */
static ES_COMPACT __attribute__((noinline, unused)) void es_clamp_all(int8_t *y, int32_t n, int32_t low, int32_t high) {
    if (low == -128 && high == 127) return;
    for (int32_t i = 0; i < n; i++) y[i] = es_clamp8(y[i], low, high);
}

#endif

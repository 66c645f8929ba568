/* Integer arithmetic shared by the kernels; the formulas are docs/numbers.md. Right shifts of negative numbers are
 * arithmetic on every compiler edgesmith uses. */
#ifndef EDGESMITH_FIXED_H
#define EDGESMITH_FIXED_H

#include <stdint.h>

/* (v + half) >> n: rounds half up; n = 0 leaves v. The caller keeps v + half within 32 bits. */
static inline int32_t es_rshift(int32_t v, int32_t n) {
    return n == 0 ? v : (v + (int32_t)(1u << (n - 1))) >> n;
}

static inline int64_t es_rshift64(int64_t v, int32_t n) {
    return n == 0 ? v : (v + (int64_t)(UINT64_C(1) << (n - 1))) >> n;
}

/* acc * m / 2^s, one rounding; 0 <= m < 2^31, 1 <= s <= 62. Not clamped, so 64 bits. */
static inline int64_t es_requant(int32_t acc, int32_t m, int32_t s) {
    return ((int64_t)acc * m + (INT64_C(1) << (s - 1))) >> s;
}

static inline int8_t es_clamp8(int64_t v, int32_t low, int32_t high) {
    return (int8_t)(v < low ? low : v > high ? high : v);
}

static inline int16_t es_clamp16(int64_t v) {
    return (int16_t)(v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v);
}

/* Sums that may wrap on the way run in uint32_t; this reads the final one as two's complement. */
static inline int32_t es_signed(uint32_t v) {
    return (int32_t)v;
}

/* Most significant set bit plus one; 0 for 0. */
static inline int32_t es_bit_length(uint64_t v) {
    return v == 0 ? 0 : 64 - __builtin_clzll(v);
}

#endif

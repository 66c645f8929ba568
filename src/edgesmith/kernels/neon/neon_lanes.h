/* Vectors of NEON for simd128_product.h. With the dot product (__ARM_FEATURE_DOTPROD, Cortex-A76 and later) SDOT takes
 * 16 products at once; without it SMULL and SMLAL2 hold two products in 16 bits (2 * 128 * 127 < 2^15) and SADALP adds
 * them up. Both read the same weights, so the compiler's flags alone choose.
 * Instructions: Arm Architecture Reference Manual for A-profile (DDI 0487).
 */
#ifndef EDGESMITH_NEON_LANES_H
#define EDGESMITH_NEON_LANES_H

#include <arm_neon.h>
#include <stddef.h>

#define ES_STEP 16 /* values of a row taken at once */
#define ES_TILE 4  /* rows whose sums fit the registers together */

typedef int32x4_t es_lanes;
typedef int8x16_t es_values;
typedef int8x8_t es_half;

static inline es_lanes es_splat(int32_t value) {
    return vdupq_n_s32(value);
}

static inline es_values es_load(const int8_t *p) {
    return vld1q_s8(p);
}

static inline es_half es_load_half(const int8_t *p) {
    return vld1_s8(p);
}

/* acc plus the 16 products, each lane taking four of them. */
static inline es_lanes es_dot(es_lanes acc, es_values x, es_values w) {
#ifdef __ARM_FEATURE_DOTPROD
    return vdotq_s32(acc, x, w);
#else
    return vpadalq_s16(acc, vmlal_high_s8(vmull_s8(vget_low_s8(x), vget_low_s8(w)), x, w));
#endif
}

static inline es_lanes es_dot_half(es_lanes acc, es_half x, es_half w) {
    return vpadalq_s16(acc, vmull_s8(x, w));
}

/* The sums over the lanes of each. */
static inline es_lanes es_sum4(es_lanes a, es_lanes b, es_lanes c, es_lanes d) {
    return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
}

static inline es_lanes es_add(es_lanes a, es_lanes b) {
    return vaddq_s32(a, b);
}

static inline es_lanes es_multiply_add(es_lanes acc, es_lanes v, int32_t factor) {
    return vmlaq_n_s32(acc, v, factor);
}

/* (v + half) >> n, as es_rshift. */
static inline es_lanes es_round_shift(es_lanes v, int32_t n) {
    return vrshlq_s32(v, vdupq_n_s32(-n));
}

/* 16 bytes as four times four lanes. */
static inline void es_widen(const int8_t *p, es_lanes *v) {
    const int8x16_t bytes = vld1q_s8(p);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    v[0] = vmovl_s16(vget_low_s16(low));
    v[1] = vmovl_high_s16(low);
    v[2] = vmovl_s16(vget_low_s16(high));
    v[3] = vmovl_high_s16(high);
}

/* What turns the sums of four channels into outputs; SRSHL shifts right by negative counts and rounds half up. */
typedef struct {
    int32x4_t b, m;
    int64x2_t s_low, s_high;
} es_scale;

static inline es_scale es_scale_load(const int32_t *b, const int32_t *multiplier, const uint8_t *shift) {
    uint32_t four;
    __builtin_memcpy(&four, shift, 4);
    const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    const int32x4_t s = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
    es_scale scale = {vld1q_s32(b), vld1q_s32(multiplier), vnegq_s64(vmovl_s32(vget_low_s32(s))),
                      vnegq_s64(vmovl_high_s32(s))};
    return scale;
}

/* (acc + b) * m >> s with one rounding, saturated to 32 bits. */
static inline es_lanes es_requantize(const es_scale *scale, es_lanes acc) {
    acc = vaddq_s32(acc, scale->b);
    const int64x2_t low = vrshlq_s64(vmull_s32(vget_low_s32(acc), vget_low_s32(scale->m)), scale->s_low);
    const int64x2_t high = vrshlq_s64(vmull_high_s32(acc, scale->m), scale->s_high);
    return vqmovn_high_s64(vqmovn_s64(low), high);
}

/* Four vectors plus y_zero, bounded, as 16 bytes. */
static inline int8x16_t es_narrow(const es_lanes *v, int32_t y_zero, int32_t low, int32_t high) {
    const int16x8_t zero = vdupq_n_s16((int16_t)y_zero);
    const int16x8_t first = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(v[0]), v[1]), zero);
    const int16x8_t second = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(v[2]), v[3]), zero);
    const int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(first), second);
    return vminq_s8(vmaxq_s8(bytes, vdupq_n_s8((int8_t)low)), vdupq_n_s8((int8_t)high));
}

static inline void es_narrow_words(const es_lanes *v, int32_t y_zero, int32_t low, int32_t high, int32_t *words) {
    const int32x4_t all = vreinterpretq_s32_s8(es_narrow(v, y_zero, low, high));
    words[0] = vgetq_lane_s32(all, 0);
    words[1] = vgetq_lane_s32(all, 1);
    words[2] = vgetq_lane_s32(all, 2);
    words[3] = vgetq_lane_s32(all, 3);
}

static inline void es_narrow_store(const es_lanes *v, int32_t y_zero, int32_t low, int32_t high, int8_t *y) {
    vst1q_s8(y, es_narrow(v, y_zero, low, high));
}

/* acc of 16 channels plus x * w, and where x1 is not NULL x1 * w1 as well: two products fit 16 bits. */
static inline void es_taps16(es_lanes *acc, const int8_t *x, const int8_t *w, const int8_t *x1, const int8_t *w1) {
    const int8x16_t a = vld1q_s8(x), b = vld1q_s8(w);
    int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    if (x1 != NULL) {
        const int8x16_t a1 = vld1q_s8(x1), b1 = vld1q_s8(w1);
        low = vmlal_s8(low, vget_low_s8(a1), vget_low_s8(b1));
        high = vmlal_high_s8(high, a1, b1);
    }
    acc[0] = vaddw_s16(acc[0], vget_low_s16(low));
    acc[1] = vaddw_high_s16(acc[1], low);
    acc[2] = vaddw_s16(acc[2], vget_low_s16(high));
    acc[3] = vaddw_high_s16(acc[3], high);
}

/* The same for 8 channels. */
static inline void es_taps8(es_lanes *acc, const int8_t *x, const int8_t *w, const int8_t *x1, const int8_t *w1) {
    int16x8_t both = vmull_s8(vld1_s8(x), vld1_s8(w));
    if (x1 != NULL) both = vmlal_s8(both, vld1_s8(x1), vld1_s8(w1));
    acc[0] = vaddw_s16(acc[0], vget_low_s16(both));
    acc[1] = vaddw_high_s16(acc[1], both);
}

/* n < 16 bytes: the first and the last 8 or 4, which may overlap. */
static inline void es_copy_few(int8_t *to, const int8_t *from, int32_t n) {
    if (n >= 8) {
        __builtin_memcpy(to, from, 8);
        __builtin_memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        __builtin_memcpy(to, from, 4);
        __builtin_memcpy(to + n - 4, from + n - 4, 4);
    } else {
        for (int32_t i = 0; i < n; i++) to[i] = from[i];
    }
}

/* n bytes, 16 at a time where there are as many. */
static inline void es_copy(int8_t *to, const int8_t *from, int32_t n) {
    if (n < 16) {
        es_copy_few(to, from, n);
        return;
    }
    for (; n > 16; n -= 16, to += 16, from += 16) vst1q_s8(to, vld1q_s8(from));
    vst1q_s8(to + n - 16, vld1q_s8(from + n - 16));
}

static inline void es_fill(int8_t *to, int32_t value, int32_t n) {
    const int8x16_t all = vdupq_n_s8((int8_t)value);
    for (; n >= 16; n -= 16, to += 16) vst1q_s8(to, all);
    for (; n > 0; n--) *to++ = (int8_t)value;
}

#endif

/* Vectors of WebAssembly (simd128) for simd128_product.h. Values are widened to 16 bits as they are loaded, and
 * i32x4.dot_i16x8 multiplies and adds in pairs: on x86 that is one instruction; where it is three, on AArch64, loads and
 * additions still bound it. There is no shift by lane, so that shifts are products with powers of two.
 * Instructions: WebAssembly core specification 2.0, section 4.4.3.
 */
#ifndef EDGESMITH_WASM_LANES_H
#define EDGESMITH_WASM_LANES_H

#include <stddef.h>
#include <wasm_simd128.h>

#include "edgesmith_fixed.h"

#define ES_STEP 8 /* values of a row taken at once */
#define ES_TILE 2 /* rows whose sums fit the registers of x86 together */

typedef v128_t es_lanes;
typedef v128_t es_values;

static inline es_lanes es_splat(int32_t value) {
    return wasm_i32x4_splat(value);
}

static inline es_values es_load(const int8_t *p) {
    return wasm_i16x8_load8x8(p);
}

/* acc plus the 8 products, each lane taking two of them. */
static inline es_lanes es_dot(es_lanes acc, es_values x, es_values w) {
    return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(x, w));
}

/* The sums over the lanes of each. */
static inline es_lanes es_sum4(es_lanes a, es_lanes b, es_lanes c, es_lanes d) {
    const v128_t ab = wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 1, 4, 5), wasm_i32x4_shuffle(a, b, 2, 3, 6, 7));
    const v128_t cd = wasm_i32x4_add(wasm_i32x4_shuffle(c, d, 0, 1, 4, 5), wasm_i32x4_shuffle(c, d, 2, 3, 6, 7));
    return wasm_i32x4_add(wasm_i32x4_shuffle(ab, cd, 0, 2, 4, 6), wasm_i32x4_shuffle(ab, cd, 1, 3, 5, 7));
}

static inline es_lanes es_add(es_lanes a, es_lanes b) {
    return wasm_i32x4_add(a, b);
}

static inline es_lanes es_multiply_add(es_lanes acc, es_lanes v, int32_t factor) {
    return wasm_i32x4_add(acc, wasm_i32x4_mul(v, wasm_i32x4_splat(factor)));
}

/* (v + half) >> n, as es_rshift. */
static inline es_lanes es_round_shift(es_lanes v, int32_t n) {
    if (n == 0) return v;
    return wasm_i32x4_shr(wasm_i32x4_add(v, wasm_i32x4_splat((int32_t)(1u << (n - 1)))), (uint32_t)n);
}

/* 16 bytes as four times four lanes. */
static inline void es_widen(const int8_t *p, es_lanes *v) {
    const v128_t low = wasm_i16x8_load8x8(p), high = wasm_i16x8_load8x8(p + 8);
    v[0] = wasm_i32x4_extend_low_i16x8(low);
    v[1] = wasm_i32x4_extend_high_i16x8(low);
    v[2] = wasm_i32x4_extend_low_i16x8(high);
    v[3] = wasm_i32x4_extend_high_i16x8(high);
}

/* What turns the sums of four channels into outputs. Where every shift s is in 34 .. 62, the high word h of the product
 * is rounded at bit s - 32 (docs/numbers.md): h + half is multiplied by 2^(64 - s), whose high word is the result. */
typedef struct {
    v128_t b, m, half, back;
    int32_t s[4];
    int quick;
} es_scale;

static inline es_scale es_scale_load(const int32_t *b, const int32_t *multiplier, const uint8_t *shift) {
    es_scale scale = {wasm_v128_load(b), wasm_v128_load(multiplier), wasm_i32x4_splat(0), wasm_i32x4_splat(0), {0}, 1};
    int32_t half[4], back[4];
    for (int32_t i = 0; i < 4; i++) {
        const int32_t s = shift[i];
        scale.s[i] = s;
        scale.quick &= s >= 34;
        half[i] = (int32_t)(1u << ((s - 33) & 31));
        back[i] = (int32_t)(1u << ((64 - s) & 31));
    }
    scale.half = wasm_v128_load(half);
    scale.back = wasm_v128_load(back);
    return scale;
}

static inline v128_t es_high_words(v128_t a, v128_t b) {
    return wasm_i32x4_shuffle(wasm_i64x2_extmul_low_i32x4(a, b), wasm_i64x2_extmul_high_i32x4(a, b), 1, 3, 5, 7);
}

/* Any shift, one lane at a time, saturated to 32 bits. */
static inline es_lanes es_requantize_each(const es_scale *scale, es_lanes acc) {
    int32_t sums[4], multipliers[4];
    wasm_v128_store(sums, acc);
    wasm_v128_store(multipliers, scale->m);
    for (int32_t i = 0; i < 4; i++) {
        const int64_t exact = es_requant(sums[i], multipliers[i], scale->s[i]);
        sums[i] = (int32_t)(exact < INT32_MIN ? INT32_MIN : exact > INT32_MAX ? INT32_MAX : exact);
    }
    return wasm_v128_load(sums);
}

/* (acc + b) * m >> s with one rounding, saturated to 32 bits. */
static inline es_lanes es_requantize(const es_scale *scale, es_lanes acc) {
    acc = wasm_i32x4_add(acc, scale->b);
    if (!scale->quick) return es_requantize_each(scale, acc);
    return es_high_words(wasm_i32x4_add(es_high_words(acc, scale->m), scale->half), scale->back);
}

/* Four vectors plus y_zero, bounded, as 16 bytes. */
static inline v128_t es_narrow(const es_lanes *v, int32_t y_zero, int32_t low, int32_t high) {
    const v128_t zero = wasm_i16x8_splat((int16_t)y_zero);
    const v128_t first = wasm_i16x8_add_sat(wasm_i16x8_narrow_i32x4(v[0], v[1]), zero);
    const v128_t second = wasm_i16x8_add_sat(wasm_i16x8_narrow_i32x4(v[2], v[3]), zero);
    const v128_t bytes = wasm_i8x16_narrow_i16x8(first, second);
    return wasm_i8x16_min(wasm_i8x16_max(bytes, wasm_i8x16_splat((int8_t)low)), wasm_i8x16_splat((int8_t)high));
}

static inline void es_narrow_words(const es_lanes *v, int32_t y_zero, int32_t low, int32_t high, int32_t *words) {
    wasm_v128_store(words, es_narrow(v, y_zero, low, high));
}

static inline void es_narrow_store(const es_lanes *v, int32_t y_zero, int32_t low, int32_t high, int8_t *y) {
    wasm_v128_store(y, es_narrow(v, y_zero, low, high));
}

/* acc of 8 channels plus x * w, and where x1 is not NULL x1 * w1 as well: two products fit 16 bits. */
static inline void es_taps8(es_lanes *acc, const int8_t *x, const int8_t *w, const int8_t *x1, const int8_t *w1) {
    v128_t both = wasm_i16x8_mul(wasm_i16x8_load8x8(x), wasm_i16x8_load8x8(w));
    if (x1 != NULL) {
        both = wasm_i16x8_add(both, wasm_i16x8_mul(wasm_i16x8_load8x8(x1), wasm_i16x8_load8x8(w1)));
    }
    acc[0] = wasm_i32x4_add(acc[0], wasm_i32x4_extend_low_i16x8(both));
    acc[1] = wasm_i32x4_add(acc[1], wasm_i32x4_extend_high_i16x8(both));
}

/* The same for 16 channels. */
static inline void es_taps16(es_lanes *acc, const int8_t *x, const int8_t *w, const int8_t *x1, const int8_t *w1) {
    es_taps8(acc, x, w, x1, w1);
    es_taps8(acc + 2, x + 8, w + 8, x1 != NULL ? x1 + 8 : NULL, w1 + 8);
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
    for (; n > 16; n -= 16, to += 16, from += 16) wasm_v128_store(to, wasm_v128_load(from));
    wasm_v128_store(to + n - 16, wasm_v128_load(from + n - 16));
}

static inline void es_fill(int8_t *to, int32_t value, int32_t n) {
    const v128_t all = wasm_i8x16_splat((int8_t)value);
    for (; n >= 16; n -= 16, to += 16) wasm_v128_store(to, all);
    for (; n > 0; n--) *to++ = (int8_t)value;
}

#endif

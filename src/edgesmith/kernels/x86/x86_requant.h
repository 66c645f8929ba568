/* Requantization of many sums (docs/numbers.md). Where 33 <= s <= 54 for all of them, which real layers keep to, in
 * 32-bit words: (hi32(acc * m) + half + (zero << t)) >> t with t = s - 32, which adds the zero point before the shift
 * and stays within 32 bits; else one by one. A dead channel (m = 0, s = 1) counts as s = 33, which changes nothing. */
#ifndef EDGESMITH_X86_REQUANT_H
#define EDGESMITH_X86_REQUANT_H

#include "edgesmith_fixed.h"
#include "x86_level.h"

#define ES_X86_LEAST_SHIFT 33
#define ES_X86_SHIFTS 22

/* What turns sums into outputs; the vectors have one entry per output channel. */
typedef struct {
    const int32_t *b, *multiplier;
    const uint8_t *shift;
    int32_t y_zero, low, high;
} es_x86_output;

static inline int8_t es_x86_one(const es_x86_output *o, int32_t channel, int32_t acc) {
    return es_clamp8(o->y_zero + es_requant(acc, o->multiplier[channel], o->shift[channel]), o->low, o->high);
}

/* `count` sums of neighbouring channels, biases included. */
static inline void es_x86_each(const es_x86_output *o, const int32_t *acc, int32_t channel, int32_t count, int8_t *y) {
    for (int32_t i = 0; i < count; i++) y[i] = es_x86_one(o, channel + i, acc[i]);
}

/* The 32-bit form of 16 channels. */
typedef struct {
    __m512i m_even, m_odd, add, shift;
} es_x86_scale16;

ES_FOR_VNNI ES_INLINE __m512i es_x86_scaled16(const es_x86_scale16 *c, __m512i acc) {
    const __m512i even = _mm512_mul_epi32(acc, c->m_even);
    const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(acc, 32), c->m_odd);
    const __m512i high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_CDAB);
    return _mm512_srav_epi32(_mm512_add_epi32(high, c->add), c->shift);
}

/* Multipliers and shifts in the 32-bit form, whatever the channels' order. Returns whether all of them allow it. */
ES_FOR_VNNI ES_INLINE int es_x86_scale16_of(__m512i m, __m512i s, int32_t y_zero, es_x86_scale16 *c) {
    s = _mm512_mask_mov_epi32(s, _mm512_testn_epi32_mask(m, m), _mm512_set1_epi32(ES_X86_LEAST_SHIFT));
    const __m512i above = _mm512_sub_epi32(s, _mm512_set1_epi32(ES_X86_LEAST_SHIFT));
    c->m_even = m;
    c->m_odd = _mm512_srli_epi64(m, 32);
    c->shift = _mm512_sub_epi32(s, _mm512_set1_epi32(32));
    c->add = _mm512_add_epi32(_mm512_sllv_epi32(_mm512_set1_epi32(1), above),
                              _mm512_sllv_epi32(_mm512_set1_epi32(y_zero), c->shift));
    return _mm512_cmplt_epu32_mask(above, _mm512_set1_epi32(ES_X86_SHIFTS)) == 0xffff;
}

ES_FOR_VNNI ES_INLINE int es_x86_load16(const es_x86_output *o, int32_t channel, __mmask16 lanes, es_x86_scale16 *c) {
    const __m512i m = _mm512_maskz_loadu_epi32(lanes, o->multiplier + channel);
    const __m512i s = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, o->shift + channel));
    return es_x86_scale16_of(m, s, o->y_zero, c);
}

/* The 32-bit form of 8 channels. */
typedef struct {
    __m256i m_even, m_odd, add, shift;
} es_x86_scale8;

ES_FOR_AVX2 ES_INLINE __m256i es_x86_scaled8(const es_x86_scale8 *c, __m256i acc) {
    const __m256i even = _mm256_mul_epi32(acc, c->m_even);
    const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(acc, 32), c->m_odd);
    const __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    return _mm256_srav_epi32(_mm256_add_epi32(high, c->add), c->shift);
}

ES_FOR_AVX2 ES_INLINE int es_x86_scale8_of(__m256i m, __m256i s, int32_t y_zero, es_x86_scale8 *c) {
    const __m256i dead = _mm256_cmpeq_epi32(m, _mm256_setzero_si256()), least = _mm256_set1_epi32(ES_X86_LEAST_SHIFT);
    s = _mm256_blendv_epi8(s, least, dead);
    const __m256i above = _mm256_sub_epi32(s, least);
    c->m_even = m;
    c->m_odd = _mm256_srli_epi64(m, 32);
    c->shift = _mm256_sub_epi32(s, _mm256_set1_epi32(32));
    c->add = _mm256_add_epi32(_mm256_sllv_epi32(_mm256_set1_epi32(1), above),
                              _mm256_sllv_epi32(_mm256_set1_epi32(y_zero), c->shift));
    const __m256i small = _mm256_cmpgt_epi32(least, s);
    const __m256i large = _mm256_cmpgt_epi32(s, _mm256_set1_epi32(ES_X86_LEAST_SHIFT + ES_X86_SHIFTS - 1));
    return _mm256_testz_si256(_mm256_or_si256(small, large), _mm256_set1_epi32(-1));
}

/* 8 outputs from scaled sums, as the low half of the result. */
ES_FOR_AVX2 ES_INLINE __m128i es_x86_narrow8(const es_x86_output *o, __m256i v) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i bytes = _mm_packs_epi16(words, words);
    return _mm_min_epi8(_mm_max_epi8(bytes, _mm_set1_epi8((char)o->low)), _mm_set1_epi8((char)o->high));
}

#endif

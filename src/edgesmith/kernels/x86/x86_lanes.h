/* Depthwise sums of 64 neighbouring outputs at a time: 4 taps to each 32-bit lane.
 *
 * Bytes of 4 taps are interleaved within quarters of a vector, so that vector j holds, in quarter q, outputs
 * 16 q + 4 j .. + 3; packing the four results puts them back in order. Weights and table follow the same order: for
 * each vector of 64 channels 64 int32, -128 * sum(w), then for each 4 taps 4 x 64 bytes. AVX2 takes a quarter at a
 * time (vpmaddwd on 16 bits), plain C an output at a time. */
#ifndef EDGESMITH_X86_LANES_H
#define EDGESMITH_X86_LANES_H

#include "x86_requant.h"

#define ES_X86_VECTOR 64

/* Start, multiplier and shift of 64 channels in the order above. */
typedef struct {
    int32_t start[ES_X86_VECTOR], multiplier[ES_X86_VECTOR], shift[ES_X86_VECTOR];
} es_x86_table;

/* Vectors of 64 outputs, `count` of them: the first from x to y, the next `from` and `to` bytes on. */
typedef struct {
    const es_x86_output *out;
    const int8_t *w; /* of this vector of channels, behind the 64 int32 */
    const es_x86_table *table;
    const int32_t *offsets; /* of the taps, filled up to whole fours */
    const uint8_t *x;
    int8_t *y;
    int32_t taps, count, from, to, most, last; /* outputs of a vector, and of the last one */
    int32_t channel, period;             /* of the first output; outputs after which channels repeat */
} es_x86_lanes;

static inline int32_t es_x86_tap_fours(int32_t taps) {
    return (taps + 3) / 4;
}

/* Where output i of 64 lies in the order above. */
static inline int32_t es_x86_place(int32_t i) {
    return i / 4 % 4 * 16 + i / 16 * 4 + i % 4;
}

static inline void es_x86_lanes_each(const es_x86_lanes *v, const int32_t *sums, int32_t n, int8_t *y) {
    for (int32_t i = 0; i < n; i++) {
        y[i] = es_x86_one(v->out, (v->channel + i) % v->period, sums[es_x86_place(i)]);
    }
}

/* Four vectors of sums with 4 taps from `tap` on; those from `taps` on are zero. */
ES_FOR_VNNI ES_INLINE void es_x86_four_taps(const es_x86_lanes *v, const uint8_t *x, int32_t tap, __m512i acc[4],
                                            const int32_t taps) {
    const __m512i zero = _mm512_setzero_si512();
    const int8_t *w = v->w + tap * ES_X86_VECTOR;
    __m512i t[4];
    for (int32_t i = 0; i < 4; i++) t[i] = tap + i < taps ? _mm512_loadu_si512(x + v->offsets[tap + i]) : zero;
    const __m512i low01 = _mm512_unpacklo_epi8(t[0], t[1]), high01 = _mm512_unpackhi_epi8(t[0], t[1]);
    const __m512i low23 = _mm512_unpacklo_epi8(t[2], t[3]), high23 = _mm512_unpackhi_epi8(t[2], t[3]);
    const __m512i lanes[4] = {_mm512_unpacklo_epi16(low01, low23), _mm512_unpackhi_epi16(low01, low23),
                              _mm512_unpacklo_epi16(high01, high23), _mm512_unpackhi_epi16(high01, high23)};
    for (int32_t j = 0; j < 4; j++) {
        acc[j] = _mm512_dpbusd_epi32(acc[j], lanes[j], _mm512_loadu_si512(w + j * ES_X86_VECTOR));
    }
}

/* All vectors of v; taps is a constant where this is inlined for one kernel size. */
ES_FOR_VNNI ES_INLINE void es_x86_walk_vnni(const es_x86_lanes *v, const int32_t taps) {
    const __m512i low = _mm512_set1_epi8((char)v->out->low), high = _mm512_set1_epi8((char)v->out->high);
    es_x86_scale16 scale[4];
    int fits = 1;
    for (int32_t j = 0; j < 4; j++) {
        fits &= es_x86_scale16_of(_mm512_loadu_si512(v->table->multiplier + 16 * j),
                                  _mm512_loadu_si512(v->table->shift + 16 * j), v->out->y_zero, scale + j);
    }
    for (int32_t i = 0; i < v->count; i++) {
        const int32_t n = i + 1 < v->count ? v->most : v->last;
        int8_t *y = v->y + i * v->to;
        __m512i acc[4];
        for (int32_t j = 0; j < 4; j++) acc[j] = _mm512_loadu_si512(v->table->start + 16 * j);
        for (int32_t tap = 0; tap < taps; tap += 4) es_x86_four_taps(v, v->x + i * v->from, tap, acc, taps);
        if (fits) {
            for (int32_t j = 0; j < 4; j++) acc[j] = es_x86_scaled16(scale + j, acc[j]);
            const __m512i words0 = _mm512_packs_epi32(acc[0], acc[1]), words1 = _mm512_packs_epi32(acc[2], acc[3]);
            const __m512i bytes = _mm512_packs_epi16(words0, words1);
            const __m512i bounded = _mm512_min_epi8(_mm512_max_epi8(bytes, low), high);
            if (n == ES_X86_VECTOR) {
                _mm512_storeu_si512(y, bounded);
            } else {
                _mm512_mask_storeu_epi8(y, (UINT64_C(1) << n) - 1, bounded);
            }
        } else {
            int32_t sums[ES_X86_VECTOR];
            for (int32_t j = 0; j < 4; j++) _mm512_storeu_si512(sums + 16 * j, acc[j]);
            es_x86_lanes_each(v, sums, n, y);
        }
    }
}

ES_FOR_VNNI static void es_x86_lanes_vnni(const es_x86_lanes *v) {
    if (v->taps == 9) {
        es_x86_walk_vnni(v, 9);
    } else {
        es_x86_walk_vnni(v, v->taps);
    }
}

ES_FOR_AVX2 ES_INLINE __m256i es_x86_widened(const int8_t *p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* Sums of quarter q in the order of outputs. */
ES_FOR_AVX2 ES_INLINE void es_x86_quarter_sums(const es_x86_lanes *v, const uint8_t *x, int32_t q, __m256i sums[2]) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i acc[4] = {zero, zero, zero, zero};
    for (int32_t tap = 0; tap < v->taps; tap += 4) {
        const int8_t *w = v->w + tap * ES_X86_VECTOR + 16 * q;
        __m128i t[4];
        for (int32_t i = 0; i < 4; i++) {
            t[i] = _mm_loadu_si128((const __m128i *)(const void *)(x + v->offsets[tap + i] + 16 * q));
        }
        const __m128i low01 = _mm_unpacklo_epi8(t[0], t[1]), high01 = _mm_unpackhi_epi8(t[0], t[1]);
        const __m128i low23 = _mm_unpacklo_epi8(t[2], t[3]), high23 = _mm_unpackhi_epi8(t[2], t[3]);
        const __m128i lanes[4] = {_mm_unpacklo_epi16(low01, low23), _mm_unpackhi_epi16(low01, low23),
                                  _mm_unpacklo_epi16(high01, high23), _mm_unpackhi_epi16(high01, high23)};
        for (int32_t j = 0; j < 4; j++) {
            const __m256i wide = _mm256_cvtepi8_epi16(lanes[j]);
            acc[j] = _mm256_add_epi32(acc[j], _mm256_madd_epi16(wide, es_x86_widened(w + j * ES_X86_VECTOR)));
        }
    }
    for (int32_t j = 0; j < 2; j++) {
        sums[j] = _mm256_permute4x64_epi64(_mm256_hadd_epi32(acc[2 * j], acc[2 * j + 1]), 0xd8);
    }
}

/* Eight entries of a table's vector from output i on. */
ES_FOR_AVX2 ES_INLINE __m256i es_x86_eight(const int32_t *entries, int32_t i) {
    const __m128i *low = (const __m128i *)(const void *)(entries + es_x86_place(i));
    const __m128i *high = (const __m128i *)(const void *)(entries + es_x86_place(i + 4));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high), 1);
}

/* Eight outputs i .. i + 7 of a vector from their sums without start. */
ES_FOR_AVX2 ES_INLINE void es_x86_finish_eight(const es_x86_lanes *v, __m256i sums, int32_t i, int32_t n, int8_t *y) {
    es_x86_scale8 scale;
    const int fits = es_x86_scale8_of(es_x86_eight(v->table->multiplier, i), es_x86_eight(v->table->shift, i),
                                      v->out->y_zero, &scale);
    sums = _mm256_add_epi32(sums, es_x86_eight(v->table->start, i));
    if (fits) {
        int8_t bytes[16];
        _mm_storeu_si128((__m128i *)(void *)bytes, es_x86_narrow8(v->out, es_x86_scaled8(&scale, sums)));
        __builtin_memcpy(y + i, bytes, (size_t)(n - i < 8 ? n - i : 8));
    } else {
        int32_t each[8];
        _mm256_storeu_si256((__m256i *)(void *)each, sums);
        for (int32_t k = 0; k < 8 && i + k < n; k++) {
            y[i + k] = es_x86_one(v->out, (v->channel + i + k) % v->period, each[k]);
        }
    }
}

ES_FOR_AVX2 static void es_x86_lanes_avx2(const es_x86_lanes *v) {
    for (int32_t i = 0; i < v->count; i++) {
        const int32_t n = i + 1 < v->count ? v->most : v->last;
        for (int32_t q = 0; 16 * q < n; q++) {
            __m256i sums[2];
            es_x86_quarter_sums(v, v->x + i * v->from, q, sums);
            es_x86_finish_eight(v, sums[0], 16 * q, n, v->y + i * v->to);
            if (16 * q + 8 < n) es_x86_finish_eight(v, sums[1], 16 * q + 8, n, v->y + i * v->to);
        }
    }
}

static inline void es_x86_lanes_plain(const es_x86_lanes *v) {
    for (int32_t i = 0; i < v->count; i++) {
        const int32_t n = i + 1 < v->count ? v->most : v->last;
        const int8_t *x = (const int8_t *)v->x + i * v->from;
        int32_t sums[ES_X86_VECTOR];
        for (int32_t k = 0; k < n; k++) {
            const int32_t place = es_x86_place(k);
            uint32_t acc = (uint32_t)v->table->start[place];
            for (int32_t tap = 0; tap < v->taps; tap++) {
                const int8_t w = v->w[tap / 4 * 4 * ES_X86_VECTOR + 4 * place + tap % 4];
                acc += (uint32_t)(x[v->offsets[tap] + k] * w);
            }
            sums[place] = es_signed(acc);
        }
        es_x86_lanes_each(v, sums, n, v->y + i * v->to);
    }
}

ES_INLINE void es_x86_lanes_run(const es_x86_lanes *v, const int32_t level) {
    if (level == ES_X86_VNNI) {
        es_x86_lanes_vnni(v);
    } else if (level == ES_X86_AVX2) {
        es_x86_lanes_avx2(v);
    } else {
        es_x86_lanes_plain(v);
    }
}

#endif

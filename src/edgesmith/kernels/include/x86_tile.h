/* Products of int8 rows with packed int8 weights on x86: 16 output channels to a vector.
 *
 * Weights: for each block of 16 channels, for each 4 values along k, 16 x 4 bytes, each w + 128; both ends are filled
 * with w = 0. AVX512-VNNI multiplies these unsigned bytes by signed activations (vpdpbusd, exact, wraps) and takes
 * 128 * sum(x) off again; AVX2 widens both to 16 bits (pmaddwd, exact); else plain C. All equal reference/ bit for bit.
 */
#ifndef EDGESMITH_X86_TILE_H
#define EDGESMITH_X86_TILE_H

#include <stddef.h>

#include "edgesmith_fixed.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define ES_X86_VNNI 1
#endif
#if defined(ES_X86_VNNI) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define ES_X86_LANES 16 /* channels of a block */
#define ES_X86_ROWS 8   /* rows worked on together */

/* What a product needs beside the rows: k is in groups of 4; vectors have `channels` entries. */
typedef struct {
    const uint8_t *w;
    const int32_t *b, *multiplier;
    const uint8_t *shift;
    int32_t channels, fours, y_zero, low, high;
} es_x86_product;

/* k in groups of 4. */
static inline int32_t es_x86_fours(int32_t k) {
    return (k + 3) / 4;
}

#ifdef ES_X86_VNNI

/* What turns 16 sums into outputs; even and odd channels apart, since products are 64 bits wide. */
typedef struct {
    __m512i b, m_even, m_odd, s_even, s_odd, half_even, half_odd, zero, low, high;
} es_x86_scale;

static inline es_x86_scale es_x86_load(const es_x86_product *g, int32_t channel, __mmask16 lanes) {
    const __m512i one = _mm512_set1_epi64(1);
    const __m512i s = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, g->shift + channel));
    es_x86_scale scale;
    scale.b = _mm512_maskz_loadu_epi32(lanes, g->b + channel);
    scale.m_even = _mm512_maskz_loadu_epi32(lanes, g->multiplier + channel);
    scale.m_odd = _mm512_srli_epi64(scale.m_even, 32);
    scale.s_even = _mm512_and_si512(s, _mm512_set1_epi64(0xffffffff));
    scale.s_odd = _mm512_srli_epi64(s, 32);
    scale.half_even = _mm512_sllv_epi64(one, _mm512_sub_epi64(scale.s_even, one));
    scale.half_odd = _mm512_sllv_epi64(one, _mm512_sub_epi64(scale.s_odd, one));
    scale.zero = _mm512_set1_epi64(g->y_zero);
    scale.low = _mm512_set1_epi64(g->low);
    scale.high = _mm512_set1_epi64(g->high);
    return scale;
}

/* acc + b, requantized, clamped and stored for `lanes`. */
static inline void es_x86_store(const es_x86_scale *scale, __m512i acc, __mmask16 lanes, int8_t *y) {
    acc = _mm512_add_epi32(acc, scale->b);
    __m512i even = _mm512_mul_epi32(acc, scale->m_even);
    __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(acc, 32), scale->m_odd);
    even = _mm512_srav_epi64(_mm512_add_epi64(even, scale->half_even), scale->s_even);
    odd = _mm512_srav_epi64(_mm512_add_epi64(odd, scale->half_odd), scale->s_odd);
    even = _mm512_min_epi64(_mm512_max_epi64(_mm512_add_epi64(even, scale->zero), scale->low), scale->high);
    odd = _mm512_min_epi64(_mm512_max_epi64(_mm512_add_epi64(odd, scale->zero), scale->low), scale->high);
    const __m512i all = _mm512_mask_mov_epi32(even, 0xaaaa, _mm512_slli_epi64(odd, 32));
    _mm_mask_storeu_epi8(y, lanes, _mm512_cvtepi32_epi8(all));
}

/* y[channel ..] from `count` <= 16 sums. `count` may not be the constant 1: clang 22 then stores four bytes. */
static inline void es_x86_finish(const es_x86_product *g, const int32_t *sum, int32_t channel, int32_t count,
                                 int8_t *y) {
    const __mmask16 lanes = (__mmask16)((1u << count) - 1);
    const es_x86_scale scale = es_x86_load(g, channel, lanes);
    es_x86_store(&scale, _mm512_maskz_loadu_epi32(lanes, sum), lanes, y);
}

/* 128 * sum of a row of 4 * fours bytes. */
static inline int32_t es_x86_excess(const int8_t *x, int32_t fours) {
    __m512i sum = _mm512_setzero_si512();
    int32_t left = 4 * fours;
    for (; left >= 64; left -= 64, x += 64) {
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_loadu_si512(x));
    }
    const __mmask64 rest = (UINT64_C(1) << left) - 1;
    sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_maskz_loadu_epi8(rest, x));
    return 128 * _mm512_reduce_add_epi32(sum);
}

/* `rows` rows by `blocks` blocks from `channel` on; both are constants where this is inlined. */
static inline __attribute__((always_inline)) void es_x86_tile(const es_x86_product *g, const int8_t *const *x,
                                                              const int32_t *excess, int32_t channel, int8_t *const *y,
                                                              int32_t kept, const int32_t rows, const int32_t blocks) {
    __m512i acc[ES_X86_ROWS][4];
    const size_t block_bytes = (size_t)g->fours * 64;
    const uint8_t *w = g->w + (size_t)(channel / ES_X86_LANES) * block_bytes;
    for (int32_t r = 0; r < rows; r++) {
        for (int32_t n = 0; n < blocks; n++) acc[r][n] = _mm512_set1_epi32(-excess[r]);
    }
    for (int32_t k = 0; k < g->fours; k++, w += 64) {
        __m512i weights[4];
        for (int32_t n = 0; n < blocks; n++) weights[n] = _mm512_loadu_si512(w + (size_t)n * block_bytes);
        for (int32_t r = 0; r < rows; r++) {
            int32_t four;
            __builtin_memcpy(&four, x[r] + 4 * k, 4);
            const __m512i values = _mm512_set1_epi32(four);
            for (int32_t n = 0; n < blocks; n++) acc[r][n] = _mm512_dpbusd_epi32(acc[r][n], weights[n], values);
        }
    }
    for (int32_t n = 0; n < blocks; n++) {
        const int32_t first = channel + n * ES_X86_LANES, count = g->channels - first;
        const __mmask16 lanes = (__mmask16)(count >= ES_X86_LANES ? 0xffffu : (1u << count) - 1);
        const es_x86_scale scale = es_x86_load(g, first, lanes);
        for (int32_t r = 0; r < rows; r++) {
            if (r < kept) es_x86_store(&scale, acc[r][n], lanes, y[r] + first);
        }
    }
}

/* The largest tiles that fit, then single blocks. */
#define ES_X86_SWEEP(ROWS, BLOCKS)                                                                     \
    do {                                                                                               \
        const int32_t wide = g->channels - (BLOCKS - 1) * ES_X86_LANES;                                \
        int32_t o = 0;                                                                                 \
        for (; o < wide; o += BLOCKS * ES_X86_LANES) es_x86_tile(g, x, excess, o, y, rows, ROWS, BLOCKS); \
        for (; o < g->channels; o += ES_X86_LANES) es_x86_tile(g, x, excess, o, y, rows, ROWS, 1);     \
    } while (0)

/* y[r][o] for 1 <= rows <= ES_X86_ROWS rows of 4 * fours bytes; pointers beyond `rows` repeat the last. */
static inline void es_x86_multiply(const es_x86_product *g, const int8_t *const *x, int8_t *const *y, int32_t rows) {
    int32_t excess[ES_X86_ROWS];
    for (int32_t r = 0; r < ES_X86_ROWS; r++) excess[r] = r < rows ? es_x86_excess(x[r], g->fours) : 0;
    if (rows == 1) {
        ES_X86_SWEEP(1, 4);
    } else if (rows <= 4) {
        ES_X86_SWEEP(4, 2);
    } else {
        ES_X86_SWEEP(8, 2);
    }
}

#else

/* y[channel ..] from `count` sums. */
static inline void es_x86_finish(const es_x86_product *g, const int32_t *sum, int32_t channel, int32_t count,
                                 int8_t *y) {
    for (int32_t i = 0; i < count; i++) {
        const int32_t o = channel + i, acc = es_signed((uint32_t)g->b[o] + (uint32_t)sum[i]);
        y[i] = es_clamp8(g->y_zero + es_requant(acc, g->multiplier[o], g->shift[o]), g->low, g->high);
    }
}

#ifdef __AVX2__

/* 16 sums of one row with a block of weights. */
static inline void es_x86_sums(const uint8_t *w, const int8_t *x, int32_t fours, int32_t *sum) {
    const __m128i sign = _mm_set1_epi8(-128);
    __m256i acc[4];
    for (int32_t n = 0; n < 4; n++) acc[n] = _mm256_setzero_si256();
    for (int32_t k = 0; k < fours; k++, w += 64) {
        int32_t four;
        __builtin_memcpy(&four, x + 4 * k, 4);
        const __m256i values = _mm256_broadcastq_epi64(_mm_cvtepi8_epi16(_mm_cvtsi32_si128(four)));
        for (int32_t n = 0; n < 4; n++) {
            const __m128i bytes = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)(w + 16 * n)), sign);
            acc[n] = _mm256_add_epi32(acc[n], _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), values));
        }
    }
    for (int32_t n = 0; n < 4; n++) {
        int32_t halves[8];
        _mm256_storeu_si256((__m256i *)(void *)halves, acc[n]);
        for (int32_t i = 0; i < 4; i++) {
            sum[4 * n + i] = es_signed((uint32_t)halves[2 * i] + (uint32_t)halves[2 * i + 1]);
        }
    }
}

#else

static inline void es_x86_sums(const uint8_t *w, const int8_t *x, int32_t fours, int32_t *sum) {
    uint32_t acc[ES_X86_LANES] = {0};
    for (int32_t k = 0; k < fours; k++, x += 4, w += 64) {
        for (int32_t i = 0; i < 64; i++) acc[i / 4] += (uint32_t)((w[i] - 128) * x[i % 4]);
    }
    for (int32_t i = 0; i < ES_X86_LANES; i++) sum[i] = es_signed(acc[i]);
}

#endif

static inline void es_x86_multiply(const es_x86_product *g, const int8_t *const *x, int8_t *const *y, int32_t rows) {
    for (int32_t r = 0; r < rows; r++) {
        for (int32_t o = 0; o < g->channels; o += ES_X86_LANES) {
            const int32_t count = g->channels - o < ES_X86_LANES ? g->channels - o : ES_X86_LANES;
            int32_t sum[ES_X86_LANES];
            es_x86_sums(g->w + (size_t)o * 4 * (size_t)g->fours, x[r], g->fours, sum);
            es_x86_finish(g, sum, o, count, y[r] + o);
        }
    }
}

#endif
#endif

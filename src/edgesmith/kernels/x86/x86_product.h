/* Products of windows with packed int8 weights: 16 output channels to a block.
 *
 * A window is `runs` runs of 4 * fours elements, each run at its offset from the window's first element. Weights: for
 * each block 16 int32, -128 * sum(w), then for each run and each 4 elements along it 16 channels x 4 bytes; what a
 * block or a run lacks is zero. AVX512-VNNI multiplies x + 128 by these (vpdpbusd, exact, wraps) and adds the 16 int32
 * first; AVX2 widens the weights to 16 bits (vpmaddwd, exact); else plain C. All equal reference/ bit for bit. */
#ifndef EDGESMITH_X86_PRODUCT_H
#define EDGESMITH_X86_PRODUCT_H

#include "x86_requant.h"

#define ES_X86_LANES 16 /* channels of a block */
#define ES_X86_ROWS 8   /* windows worked on together */

/* `channels` outputs for each window. */
typedef struct {
    es_x86_output out;
    const int8_t *w;
    const int32_t *offsets;
    int32_t channels, runs, fours;
} es_x86_product;

static inline size_t es_x86_block_bytes(const es_x86_product *g) {
    return 64 * ((size_t)g->runs * (size_t)g->fours + 1);
}

static inline int32_t es_x86_blocks(int32_t channels) {
    return (channels + ES_X86_LANES - 1) / ES_X86_LANES;
}

/* Channels of a block that are real. */
static inline int32_t es_x86_count(const es_x86_product *g, int32_t block) {
    const int32_t left = g->channels - block * ES_X86_LANES;
    return left < ES_X86_LANES ? left : ES_X86_LANES;
}

/* Sums of `blocks` blocks for `rows` windows; both are constants where this is inlined. */
ES_FOR_VNNI ES_INLINE void es_x86_sums_vnni(const es_x86_product *g, const uint8_t *const *x, int32_t block,
                                            __m512i acc[ES_X86_ROWS][4], const int32_t rows, const int32_t blocks) {
    const size_t block_bytes = es_x86_block_bytes(g);
    const int8_t *w = g->w + (size_t)block * block_bytes;
    for (int32_t n = 0; n < blocks; n++) {
        const __mmask16 lanes = (__mmask16)((1u << es_x86_count(g, block + n)) - 1);
        const __m512i b = _mm512_maskz_loadu_epi32(lanes, g->out.b + (block + n) * ES_X86_LANES);
        const __m512i start = _mm512_add_epi32(b, _mm512_loadu_si512(w + (size_t)n * block_bytes));
        for (int32_t r = 0; r < rows; r++) acc[r][n] = start;
    }
    w += 64;
    for (int32_t run = 0; run < g->runs; run++) {
        const int32_t offset = g->offsets[run];
        for (int32_t k = 0; k < g->fours; k++, w += 64) {
            __m512i weights[4];
            for (int32_t n = 0; n < blocks; n++) weights[n] = _mm512_loadu_si512(w + (size_t)n * block_bytes);
            for (int32_t r = 0; r < rows; r++) {
                int32_t four;
                __builtin_memcpy(&four, x[r] + offset + 4 * k, 4);
                const __m512i values = _mm512_set1_epi32(four);
                for (int32_t n = 0; n < blocks; n++) acc[r][n] = _mm512_dpbusd_epi32(acc[r][n], values, weights[n]);
            }
        }
    }
}

/* 16 outputs, or those of `lanes`; masked stores are slow. */
ES_FOR_VNNI ES_INLINE void es_x86_store16(int8_t *y, __m128i bytes, __mmask16 lanes) {
    if (lanes == 0xffff) {
        _mm_storeu_si128((__m128i *)(void *)y, bytes);
    } else {
        _mm_mask_storeu_epi8(y, lanes, bytes);
    }
}

/* Outputs of 4 windows, packed together. */
ES_FOR_VNNI ES_INLINE void es_x86_four_rows(const es_x86_output *o, const es_x86_scale16 *scale,
                                            const __m512i (*sums)[4], int8_t *const *y, int32_t channel,
                                            __mmask16 lanes) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i first = _mm512_packs_epi32(es_x86_scaled16(scale, sums[0][0]), es_x86_scaled16(scale, sums[1][0]));
    const __m512i last = _mm512_packs_epi32(es_x86_scaled16(scale, sums[2][0]), es_x86_scaled16(scale, sums[3][0]));
    __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(first, last));
    bytes = _mm512_max_epi8(bytes, _mm512_set1_epi8((char)o->low));
    bytes = _mm512_min_epi8(bytes, _mm512_set1_epi8((char)o->high));
    es_x86_store16(y[0] + channel, _mm512_castsi512_si128(bytes), lanes);
    es_x86_store16(y[1] + channel, _mm512_extracti32x4_epi32(bytes, 1), lanes);
    es_x86_store16(y[2] + channel, _mm512_extracti32x4_epi32(bytes, 2), lanes);
    es_x86_store16(y[3] + channel, _mm512_extracti32x4_epi32(bytes, 3), lanes);
}

/* Outputs of one block from sums [row][4], of which the first column is its own. */
ES_FOR_VNNI ES_INLINE void es_x86_block_vnni(const es_x86_product *g, const __m512i (*sums)[4], int32_t block,
                                             int8_t *const *y, int32_t rows) {
    const __m128i low = _mm_set1_epi8((char)g->out.low), high = _mm_set1_epi8((char)g->out.high);
    const int32_t channel = block * ES_X86_LANES, count = es_x86_count(g, block);
    const __mmask16 lanes = (__mmask16)((1u << count) - 1);
    es_x86_scale16 scale;
    int32_t r = 0;
    if (!es_x86_load16(&g->out, channel, lanes, &scale)) {
        for (; r < rows; r++) {
            int32_t each[ES_X86_LANES];
            _mm512_storeu_si512(each, sums[r][0]);
            es_x86_each(&g->out, each, channel, count, y[r] + channel);
        }
    }
    for (; r + 4 <= rows; r += 4) es_x86_four_rows(&g->out, &scale, sums + r, y + r, channel, lanes);
    for (; r < rows; r++) {
        const __m128i bytes = _mm512_cvtsepi32_epi8(es_x86_scaled16(&scale, sums[r][0]));
        es_x86_store16(y[r] + channel, _mm_min_epi8(_mm_max_epi8(bytes, low), high), lanes);
    }
}

ES_FOR_VNNI __attribute__((noinline)) static void es_x86_finish_vnni(const es_x86_product *g, const __m512i (*sums)[4],
                                                                     int32_t blocks, int32_t block, int8_t *const *y,
                                                                     int32_t rows) {
    for (int32_t n = 0; n < blocks; n++) es_x86_block_vnni(g, (const __m512i(*)[4])(sums[0] + n), block + n, y, rows);
}

/* The sums are kept in registers until they are complete. */
ES_FOR_VNNI ES_INLINE void es_x86_tile_vnni(const es_x86_product *g, const uint8_t *const *x, int32_t block,
                                            int8_t *const *y, int32_t kept, const int32_t rows, const int32_t blocks) {
    __m512i acc[ES_X86_ROWS][4], sums[ES_X86_ROWS][4];
    es_x86_sums_vnni(g, x, block, acc, rows, blocks);
    for (int32_t r = 0; r < rows; r++) {
        for (int32_t n = 0; n < blocks; n++) sums[r][n] = acc[r][n];
    }
    es_x86_finish_vnni(g, (const __m512i(*)[4])sums, blocks, block, y, kept);
}

/* Blocks from `block` up to `end`, as many at a time as registers hold; four are two and two rather than three and one. */
#define ES_X86_SWEEP(ROWS, BLOCKS)                                                                          \
    do {                                                                                                    \
        int32_t n = block;                                                                                  \
        for (; end - n >= BLOCKS && end - n != BLOCKS + 1; n += BLOCKS)                                      \
            es_x86_tile_vnni(g, x, n, y, rows, ROWS, BLOCKS);                                               \
        for (; end - n >= 2; n += 2) es_x86_tile_vnni(g, x, n, y, rows, ROWS, 2);                           \
        if (n < end) es_x86_tile_vnni(g, x, n, y, rows, ROWS, 1);                                           \
    } while (0)

/* Windows beyond `rows` repeat the last. */
ES_FOR_VNNI __attribute__((noinline)) static void es_x86_multiply_vnni(const es_x86_product *g, const uint8_t *const *x,
                                                                       int8_t *const *y, int32_t rows, int32_t block,
                                                                       int32_t end) {
    if (rows == 1) {
        ES_X86_SWEEP(1, 4);
    } else if (rows <= 4) {
        ES_X86_SWEEP(4, 3);
    } else {
        ES_X86_SWEEP(8, 3);
    }
}

/* Two times 8 sums of 4 windows, of half a block. */
ES_FOR_AVX2 static void es_x86_half_avx2(const es_x86_product *g, const int8_t *w, const uint8_t *const *x,
                                         __m256i acc[4]) {
    __m256i sum[4][2];
    for (int32_t r = 0; r < 4; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
    for (int32_t run = 0; run < g->runs; run++) {
        const int32_t offset = g->offsets[run];
        for (int32_t k = 0; k < g->fours; k++, w += 64) {
            const __m256i low = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));
            const __m256i high = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(w + 16)));
            for (int32_t r = 0; r < 4; r++) {
                int64_t four;
                __builtin_memcpy(&four, x[r] + 2 * (offset + 4 * k), 8);
                const __m256i values = _mm256_set1_epi64x(four);
                sum[r][0] = _mm256_add_epi32(sum[r][0], _mm256_madd_epi16(low, values));
                sum[r][1] = _mm256_add_epi32(sum[r][1], _mm256_madd_epi16(high, values));
            }
        }
    }
    for (int32_t r = 0; r < 4; r++) {
        acc[r] = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sum[r][0], sum[r][1]), 0xd8);
    }
}

/* Eight channels of 4 windows. */
ES_FOR_AVX2 static void es_x86_finish_avx2(const es_x86_output *o, const __m256i acc[4], int32_t channel, int32_t count,
                                           int8_t *const *y, int32_t rows) {
    int32_t b[8] = {0}, m[8] = {0}, s[8] = {0};
    es_x86_scale8 scale;
    for (int32_t i = 0; i < count; i++) {
        b[i] = o->b[channel + i];
        m[i] = o->multiplier[channel + i];
        s[i] = o->shift[channel + i];
    }
    const __m256i multiplier = _mm256_loadu_si256((const __m256i *)(const void *)m);
    const int fits = es_x86_scale8_of(multiplier, _mm256_loadu_si256((const __m256i *)(const void *)s), o->y_zero, &scale);
    for (int32_t r = 0; r < rows; r++) {
        const __m256i sum = _mm256_add_epi32(acc[r], _mm256_loadu_si256((const __m256i *)(const void *)b));
        if (fits) {
            int8_t bytes[16];
            _mm_storeu_si128((__m128i *)(void *)bytes, es_x86_narrow8(o, es_x86_scaled8(&scale, sum)));
            __builtin_memcpy(y[r] + channel, bytes, (size_t)count);
        } else {
            int32_t sums[8];
            _mm256_storeu_si256((__m256i *)(void *)sums, sum);
            es_x86_each(o, sums, channel, count, y[r] + channel);
        }
    }
}

ES_FOR_AVX2 static void es_x86_multiply_avx2(const es_x86_product *g, const uint8_t *const *x, int8_t *const *y,
                                             int32_t rows, int32_t block, int32_t end) {
    for (int32_t r = 0; r < rows; r += 4) {
        const int32_t kept = rows - r < 4 ? rows - r : 4;
        for (int32_t n = 2 * block; n < 2 * end && 8 * n < g->channels; n++) {
            const int8_t *w = g->w + (size_t)(n / 2) * es_x86_block_bytes(g) + 64 + n % 2 * 32;
            const int32_t left = g->channels - 8 * n;
            __m256i acc[4];
            es_x86_half_avx2(g, w, x + r, acc);
            es_x86_finish_avx2(&g->out, acc, 8 * n, left < 8 ? left : 8, y + r, kept);
        }
    }
}

static inline void es_x86_multiply_plain(const es_x86_product *g, const uint8_t *const *x, int8_t *const *y,
                                         int32_t rows, int32_t block, int32_t end) {
    for (int32_t n = block; n < end; n++) {
        for (int32_t r = 0; r < rows; r++) {
            const int8_t *w = g->w + (size_t)n * es_x86_block_bytes(g) + 64;
            const int32_t channel = n * ES_X86_LANES, count = es_x86_count(g, n);
            uint32_t acc[ES_X86_LANES] = {0};
            int32_t sums[ES_X86_LANES];
            for (int32_t k = 0; k < g->runs * g->fours; k++, w += 64) {
                const int8_t *four = (const int8_t *)x[r] + g->offsets[k / g->fours] + k % g->fours * 4;
                for (int32_t i = 0; i < 64; i++) acc[i / 4] += (uint32_t)(w[i] * four[i % 4]);
            }
            for (int32_t i = 0; i < count; i++) sums[i] = es_signed((uint32_t)g->out.b[channel + i] + acc[i]);
            es_x86_each(&g->out, sums, channel, count, y[r] + channel);
        }
    }
}

/* y[r][o] for 1 <= rows <= ES_X86_ROWS windows and the blocks from `block` up to `end`; x has ES_X86_ROWS entries. */
ES_INLINE void es_x86_multiply(const es_x86_product *g, const uint8_t *const *x, int8_t *const *y, int32_t rows,
                               int32_t block, int32_t end, const int32_t level) {
    if (level == ES_X86_VNNI) {
        es_x86_multiply_vnni(g, x, y, rows, block, end);
    } else if (level == ES_X86_AVX2) {
        es_x86_multiply_avx2(g, x, y, rows, block, end);
    } else {
        es_x86_multiply_plain(g, x, y, rows, block, end);
    }
}

#endif

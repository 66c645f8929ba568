/* Products of int8 rows with packed int8 weights on vectors of 128 bits: the part that NEON and WebAssembly share. What
 * differs stands in neon_lanes.h and wasm_lanes.h, one of which is included before this file.
 *
 * Weights: for each block of 4 channels, k in steps of ES_STEP: 4 channels x ES_STEP values, and 4 x 8 where eight are
 * left; k is filled up to whole eights and channels to whole fours with w = 0. A sum of one row with one channel runs in
 * 4 lanes, which are added at the end. All equals reference/ bit for bit.
 */
#ifndef EDGESMITH_SIMD128_PRODUCT_H
#define EDGESMITH_SIMD128_PRODUCT_H

#include <stddef.h>

#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

#define ES_BLOCK 4 /* channels of a block */
#define ES_ROWS 8  /* rows that share the loads of a block's scales */

/* What a product needs beside the rows: k is a multiple of 8; vectors have `channels` entries. */
typedef struct {
    const int8_t *w;
    const int32_t *b, *multiplier;
    const uint8_t *shift;
    int32_t channels, k, y_zero, low, high;
} es_product;

/* k filled up to whole eights. */
static inline int32_t es_eights(int32_t k) {
    return (k + 7) & ~7;
}

/* Whether all cells of the window whose first is (y0, x0) lie inside x. */
static inline int es_all_inside(const es_conv2d_s8_params *p, int32_t y0, int32_t x0) {
    const int32_t last_y = y0 + (p->kernel_h - 1) * p->dilation_h, last_x = x0 + (p->kernel_w - 1) * p->dilation_w;
    return y0 >= 0 && x0 >= 0 && last_y < p->in_h && last_x < p->in_w;
}

/* Bytes of the packed weights of `channels` channels. */
static inline size_t es_packed_bytes(int32_t channels, int32_t k) {
    return (size_t)((channels + ES_BLOCK - 1) / ES_BLOCK * ES_BLOCK) * (size_t)es_eights(k);
}

/* Sums of `rows` rows with the four channels of a block; rows is a constant where this is inlined. */
static inline __attribute__((always_inline)) void es_tile(const int8_t *w, const int8_t *const *x, int32_t k,
                                                          es_lanes *sum, const int32_t rows) {
    es_lanes acc[ES_TILE][ES_BLOCK];
    int32_t i = 0;
    for (int32_t r = 0; r < rows; r++) {
        for (int32_t c = 0; c < ES_BLOCK; c++) acc[r][c] = es_splat(0);
    }
    for (; i + ES_STEP <= k; i += ES_STEP, w += ES_BLOCK * ES_STEP) {
        es_values weights[ES_BLOCK];
        for (int32_t c = 0; c < ES_BLOCK; c++) weights[c] = es_load(w + c * ES_STEP);
        for (int32_t r = 0; r < rows; r++) {
            const es_values values = es_load(x[r] + i);
            for (int32_t c = 0; c < ES_BLOCK; c++) acc[r][c] = es_dot(acc[r][c], values, weights[c]);
        }
    }
#if ES_STEP > 8
    if (i < k) {
        es_half weights[ES_BLOCK];
        for (int32_t c = 0; c < ES_BLOCK; c++) weights[c] = es_load_half(w + c * 8);
        for (int32_t r = 0; r < rows; r++) {
            const es_half values = es_load_half(x[r] + i);
            for (int32_t c = 0; c < ES_BLOCK; c++) acc[r][c] = es_dot_half(acc[r][c], values, weights[c]);
        }
    }
#endif
    for (int32_t r = 0; r < rows; r++) sum[r] = es_sum4(acc[r][0], acc[r][1], acc[r][2], acc[r][3]);
}

/* The scales of `count` <= 4 channels from o on. */
static inline es_scale es_scale_at(const es_product *g, int32_t o, int32_t count) {
    int32_t b[ES_BLOCK] = {0}, multiplier[ES_BLOCK] = {0};
    uint8_t shift[ES_BLOCK] = {1, 1, 1, 1};
    if (count == ES_BLOCK) return es_scale_load(g->b + o, g->multiplier + o, g->shift + o);
    for (int32_t i = 0; i < count; i++) {
        b[i] = g->b[o + i];
        multiplier[i] = g->multiplier[o + i];
        shift[i] = g->shift[o + i];
    }
    return es_scale_load(b, multiplier, shift);
}

/* The first `count` <= 4 bytes of a word. */
static inline void es_store_some(int8_t *y, int32_t word, int32_t count) {
    if (count == ES_BLOCK) {
        __builtin_memcpy(y, &word, 4);
    } else {
        for (int32_t i = 0; i < count; i++) y[i] = (int8_t)(word >> (8 * i));
    }
}

/* y[r][o ..] from the sums of up to four rows. */
static inline void es_store_rows(const es_product *g, const es_scale *scale, const es_lanes *sum, int8_t *const *y,
                                 int32_t o, int32_t rows, int32_t count) {
    es_lanes v[4];
    int32_t words[4];
    for (int32_t r = 0; r < 4; r++) v[r] = es_requantize(scale, sum[r < ES_TILE ? r : ES_TILE - 1]);
    es_narrow_words(v, g->y_zero, g->low, g->high, words);
    if (count == ES_BLOCK && rows == ES_TILE) { /* no loop: the words stay in the vector */
        __builtin_memcpy(y[0] + o, &words[0], 4);
        __builtin_memcpy(y[1] + o, &words[1], 4);
#if ES_TILE > 2
        __builtin_memcpy(y[2] + o, &words[2], 4);
        __builtin_memcpy(y[3] + o, &words[3], 4);
#endif
    } else {
        for (int32_t r = 0; r < rows; r++) es_store_some(y[r] + o, words[r], count);
    }
}

/* y[r][o] for 1 <= rows <= ES_ROWS rows of k bytes; pointers beyond `rows` repeat the last. */
static inline void es_multiply(const es_product *g, const int8_t *const *x, int8_t *const *y, int32_t rows) {
    const int8_t *w = g->w;
    for (int32_t o = 0; o < g->channels; o += ES_BLOCK, w += (size_t)ES_BLOCK * (size_t)g->k) {
        const int32_t count = g->channels - o < ES_BLOCK ? g->channels - o : ES_BLOCK;
        const es_scale scale = es_scale_at(g, o, count);
        for (int32_t r = 0; r < rows; r += ES_TILE) {
            const int32_t kept = rows - r < ES_TILE ? rows - r : ES_TILE;
            es_lanes sum[ES_TILE];
            if (kept == 1) {
                es_tile(w, x + r, g->k, sum, 1);
                for (int32_t i = 1; i < ES_TILE; i++) sum[i] = sum[0];
            } else {
                es_tile(w, x + r, g->k, sum, ES_TILE);
            }
            es_store_rows(g, &scale, sum, y + r, o, kept, count);
        }
    }
}

#endif

/* Dot products of columns of widened activations with packed weights: the core of conv2d_s8 and linear_s8.
 *
 * Column: the activations under one output pixel as int16, two to a word. P pixels lie interleaved: word j of pixel p
 * is at index j * P + p. A run of n contiguous activations takes (n + 1) / 2 words: fours in the order (x0,x2), (x1,x3)
 * that SXTB16 gives, the rest in sequence, an odd last one beside a 0.
 *
 * Packed weights: output channels in pairs (A, B), one pair after another. Each 16-bit lane holds a + 256 b, so that
 * one SMLAD with the word as it is adds x * (a + 256 b) for two activations, and one with its SXTB16 adds x * a:
 *     S = sum x * (a + 256 b),  A = sum x * a,  B = (S - A) >> 8          modulo 2^32
 * B is exact while |B| < 2^23. 128 * 127 * 2 * ES_CHUNK_WORDS < 2^23, so longer sums are taken in chunks. This halves
 * the weight loads and SXTB16 of the usual scheme. A last odd channel is paired with weights of 0. */
#ifndef EDGESMITH_CORTEX_M_COLUMNS_H
#define EDGESMITH_CORTEX_M_COLUMNS_H

#include <stddef.h>

#include "cortex_m_requant.h"

#define ES_CHUNK_WORDS 256

/* One tile: P pixels by some pairs of channels. The assembly keeps a copy of the first 17 words on its stack. */
typedef struct {
    const uint32_t *main_end, *end, *x; /* of the columns: end of the unrolled loop, of the chunk, begin */
    const int32_t *bias;
    int32_t second_bias; /* the assembly's own */
    const int32_t *multiplier;
    const uint8_t *shift;
    int8_t *y;
    int32_t y_step;            /* from one pixel's outputs to the next */
    int32_t y_factor;          /* 2 y_zero + 1 */
    int32_t second;            /* where channel B goes, beside A: 1, or 0 where there is none */
    const int8_t *w_end;
    const uint32_t *final_end; /* end of the columns when they are longer than one chunk, else NULL */
    int32_t carry[4];          /* B of the chunks before */
    const int8_t *w;
    int32_t words, y_zero; /* words of one column */
} es_tile;

typedef char es_tile_layout[offsetof(es_tile, w) == 68 || sizeof(void *) != 4 ? 1 : -1];

/* Two sums of one pixel, for any core: P columns from x on; returns B, stores A. */
static inline int32_t es_pair_sums(const uint32_t *x, int32_t P, const int8_t *w, int32_t words, uint32_t *a_sum) {
    const int16_t *lane = (const int16_t *)(const void *)x;
    const int8_t *byte = w;
    uint32_t a = 0, b = 0;
    for (int32_t j = 0; j < words; j++, lane += 2 * P, byte += 4) {
        const int32_t a0 = byte[0], a1 = byte[2];
        a += (uint32_t)(lane[0] * a0 + lane[1] * a1);
        b += (uint32_t)(lane[0] * (byte[1] + (a0 < 0)) + lane[1] * (byte[3] + (a1 < 0)));
    }
    *a_sum = a;
    return (int32_t)b;
}

/* One pair of channels of P pixels, any multiplier and shift. */
static ES_COMPACT __attribute__((noinline, unused)) void es_tile_pair_any(const es_tile *t, int32_t P) {
    const int32_t second = t->second;
    for (int32_t p = 0; p < P; p++) {
        uint32_t a;
        const int32_t b = es_pair_sums(t->x + p, P, t->w, t->words, &a);
        int8_t *y = t->y + p * t->y_step;
        const int32_t acc_a = (int32_t)(a + (uint32_t)t->bias[0]);
        const int32_t acc_b = (int32_t)((uint32_t)b + (uint32_t)t->bias[second]);
        y[second] = es_requant_any(acc_b, t->multiplier[second], t->shift[second], t->y_zero);
        y[0] = es_requant_any(acc_a, t->multiplier[0], t->shift[0], t->y_zero);
    }
}

/* Two activations, the first in the low half. */
static inline uint32_t es_lanes(int8_t low, int8_t high) { return (uint16_t)low | (uint32_t)(uint16_t)high << 16; }

#if defined(__ARM_FEATURE_DSP)
#include "cortex_m_columns_dsp.h"
#else
#include "cortex_m_columns_plain.h"
#endif

/* The pairs of channels from t->w to t->w_end, P pixels. */
static inline void es_tile_pairs(const es_tile *t, int32_t P) {
    if (P == 4) {
        es_tile4(t);
    } else if (P == 2) {
        es_tile2(t);
    } else {
        es_tile1(t);
    }
}

/* A run of n activations into a column; step: words from one of the column's words to the next. */
static inline void es_widen(const int8_t *x, int32_t n, uint32_t *column, int32_t step) {
    for (; n >= 4; n -= 4, x += 4, column += 2 * step) {
        es_widen4(x, column, column + step);
    }
    if (n == 0) return;
    *column = es_lanes(x[0], n > 1 ? x[1] : 0);
    if (n == 3) column[step] = es_lanes(x[2], 0);
}

/* Points the tile at P columns of t->words words. */
static inline void es_tile_columns(es_tile *t, const uint32_t *columns, int32_t P) {
    const int32_t words = t->words < ES_CHUNK_WORDS ? t->words : ES_CHUNK_WORDS;
    t->x = columns;
    t->main_end = columns + (words & ~3) * P;
    t->end = columns + words * P;
    t->final_end = words < t->words ? columns + t->words * P : NULL;
    for (int32_t i = 0; i < 4; i++) t->carry[i] = 0;
}

/* Whether all shifts can take the short way. */
static ES_COMPACT __attribute__((noinline, unused)) int es_shifts_are_usual(const uint8_t *shift, int32_t channels) {
    for (int32_t o = 0; o < channels; o++) {
        if (!es_shift_is_usual(shift[o])) return 0;
    }
    return 1;
}

/* `pairs` pairs of channels, in one go where all their shifts are usual; the tile's pointers move on. */
static __attribute__((noinline, unused)) void es_tile_run(es_tile *t, int32_t P, int32_t pairs, int usual) {
    const int32_t at_once = usual ? pairs : 1, bytes = 4 * t->words * at_once;
    for (; pairs > 0; pairs -= at_once) {
        t->w_end = t->w + bytes;
        if (usual || (es_shift_is_usual(t->shift[0]) && es_shift_is_usual(t->shift[t->second]))) es_tile_pairs(t, P);
        else es_tile_pair_any(t, P);
        t->w += bytes;
        t->bias += 2 * at_once;
        t->multiplier += 2 * at_once;
        t->shift += 2 * at_once;
        t->y += 2 * at_once;
    }
}

/* All channels of a tile. A last odd one runs with itself as partner, so that nothing is read beyond the arrays. */
static __attribute__((unused)) void es_tile_channels(const es_tile *tile, int32_t P, int32_t channels, int usual) {
    es_tile t = *tile;
    t.second = 1;
    es_tile_run(&t, P, channels / 2, usual);
    if (channels % 2 != 0) {
        const int32_t bias[2] = {*t.bias, *t.bias}, multiplier[2] = {*t.multiplier, *t.multiplier};
        const uint8_t shift[2] = {*t.shift, *t.shift};
        t.bias = bias;
        t.multiplier = multiplier;
        t.shift = shift;
        t.second = 0;
        es_tile_run(&t, P, 1, usual);
    }
}

#endif

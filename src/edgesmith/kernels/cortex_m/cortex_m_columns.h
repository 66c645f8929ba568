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
 * the weight loads and SXTB16 of the usual scheme. A last odd channel is paired with weights of 0.
 *
 * Weights of ES_BITS, 4 or 2: a word has those of ES_UNIT_WORDS words of the column, as codes (edgesmith_packed.h). Column
 * word 2i has its lanes in bytes 0 and 2, word 2i + 1 in bytes 1 and 3; with two bits words 0 and 1 of the four have the
 * low halves of the bytes. A lane is a + 2^bits * b of the codes a and b:
 *     S = sum x * (a + 2^bits b),  A = sum x * a - c,  B = ((S - sum x * a) >> bits) - c,  c = 2^(bits-1) * sum x
 * which is exact while |B| < 2^27, so no chunks are needed; c is the same for all channels of a pixel. Columns are filled
 * up to whole units with 0. */
#ifndef EDGESMITH_CORTEX_M_COLUMNS_H
#define EDGESMITH_CORTEX_M_COLUMNS_H

#include <stddef.h>

#include "cortex_m_lift.h"

#ifndef ES_BITS
#define ES_BITS 8
#endif
#define ES_UNIT_WORDS (8 / ES_BITS)
#if ES_BITS == 8
#define ES_TILE(P) es_tile##P
#define ES_CHUNK_WORDS 256
#define ES_MAIN_WORDS 4 /* of the unrolled steps */
#elif ES_BITS == 4
#define ES_TILE(P) es_tile##P##_w4
#define ES_CHUNK_WORDS INT32_MAX
#define ES_MAIN_WORDS 8
#else
#define ES_TILE(P) es_tile##P##_w2
#define ES_CHUNK_WORDS INT32_MAX
#define ES_MAIN_WORDS 8
#endif

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
    int32_t carry[4];          /* B of the chunks before; c of each pixel where weights are codes */
    const int8_t *w;
    int32_t words, y_zero; /* words of one column */
} es_tile;

typedef char es_tile_layout[offsetof(es_tile, w) == 68 || sizeof(void *) != 4 ? 1 : -1];

/* Bytes of the weights of one pair of channels. */
static inline int32_t es_pair_bytes(int32_t words) { return 4 * words / ES_UNIT_WORDS; }

/* Words of a column filled up to whole units. */
static inline int32_t es_whole_units(int32_t words) { return (words + ES_UNIT_WORDS - 1) & ~(ES_UNIT_WORDS - 1); }

#if ES_BITS == 8

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

#else

/* Codes a + 2^bits * b of a lane of the packed weights. */
static inline int32_t es_lane_codes(const int8_t *w, int32_t lane) {
    const int32_t word = lane >> 1, place = word & (ES_UNIT_WORDS - 1);
    const int32_t byte = 4 * (word / ES_UNIT_WORDS) + (place & 1) + 2 * (lane & 1);
    return ((uint8_t)w[byte] >> (4 * (place >> 1))) & ((1 << (2 * ES_BITS)) - 1);
}

static inline int32_t es_code_a(int32_t codes) { return codes & ((1 << ES_BITS) - 1); }
static inline int32_t es_code_b(int32_t codes) { return codes >> ES_BITS; }

/* Two sums of one pixel, for any core: P columns from x on; returns B + c, stores A + c. */
static inline int32_t es_pair_sums(const uint32_t *x, int32_t P, const int8_t *w, int32_t words, uint32_t *a_sum) {
    const int16_t *lane = (const int16_t *)(const void *)x;
    uint32_t a = 0, b = 0;
    for (int32_t j = 0; j < words; j++, lane += 2 * P) {
        for (int32_t i = 0; i < 2; i++) {
            const int32_t codes = es_lane_codes(w, 2 * j + i);
            a += (uint32_t)(lane[i] * es_code_a(codes));
            b += (uint32_t)(lane[i] * es_code_b(codes));
        }
    }
    *a_sum = a;
    return (int32_t)b;
}

#endif

/* Whether a channel can take the short way, with columns of so many words; by how much its sums are lifted for it. */
#if ES_BITS == 8
static inline int es_is_usual(uint32_t s, int32_t bias, int32_t words) {
    (void)bias;
    (void)words;
    return es_shift_is_usual(s);
}
static inline int32_t es_lift_of(uint32_t s) {
    (void)s;
    return 0;
}
#else
static inline int es_is_usual(uint32_t s, int32_t bias, int32_t words) {
    return es_lifts(s, bias, words << (ES_BITS + 7));
}
static inline int32_t es_lift_of(uint32_t s) { return es_lift(s); }
#endif

static inline int8_t es_scaled(int32_t acc, int32_t multiplier, uint32_t s, int32_t y_zero) {
    const int32_t lift = es_lift_of(s);
    const es_channel c = es_channel_of(multiplier, s + (uint32_t)lift, y_zero);
    return es_channel_apply(c, (int32_t)((uint32_t)acc << lift));
}

/* One pair of channels of P pixels, any multiplier and shift. */
static ES_COMPACT __attribute__((noinline, unused)) void es_tile_pair_any(const es_tile *t, int32_t P) {
    const int32_t second = t->second;
    for (int32_t p = 0; p < P; p++) {
        uint32_t a;
        const uint32_t b = (uint32_t)es_pair_sums(t->x + p, P, t->w, t->words, &a);
        const uint32_t c = ES_BITS < 8 ? (uint32_t)t->carry[p] : 0;
        int8_t *y = t->y + p * t->y_step;
        const int32_t acc_a = (int32_t)(a - c + (uint32_t)t->bias[0]);
        const int32_t acc_b = (int32_t)(b - c + (uint32_t)t->bias[second]);
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
        ES_TILE(4)(t);
    } else if (P == 2) {
        ES_TILE(2)(t);
    } else {
        ES_TILE(1)(t);
    }
}

/* A run of n activations into a column; step: words from one of the column's words to the next. Returns their sum, added
 * to `sum`, where weights are codes. */
static inline uint32_t es_widen(const int8_t *x, int32_t n, uint32_t *column, int32_t step, uint32_t sum) {
    for (; n >= 4; n -= 4, x += 4, column += 2 * step) {
        uint32_t even, odd;
        es_widen4(x, &even, &odd);
        column[0] = even;
        column[step] = odd;
        if (ES_BITS < 8) sum = es_add_lanes(even, es_add_lanes(odd, sum));
    }
    if (n == 0) return sum;
    const uint32_t rest = es_lanes(x[0], n > 1 ? x[1] : 0);
    *column = rest;
    if (ES_BITS < 8) sum = es_add_lanes(rest, sum);
    if (n != 3) return sum;
    column[step] = es_lanes(x[2], 0);
    return ES_BITS < 8 ? sum + (uint32_t)x[2] : sum;
}

/* Points the tile at P columns of t->words words, of which `used` hold activations. sums: of their
 * activations, four entries. */
static inline void es_tile_columns(es_tile *t, uint32_t *columns, int32_t P, int32_t used, const uint32_t *sums) {
    const int32_t words = t->words < ES_CHUNK_WORDS ? t->words : ES_CHUNK_WORDS;
    t->x = columns;
    t->main_end = columns + (words & ~(ES_MAIN_WORDS - 1)) * P;
    t->end = columns + words * P;
    t->final_end = words < t->words ? columns + t->words * P : NULL;
    for (int32_t i = 0; i < 4; i++) t->carry[i] = ES_BITS < 8 ? (int32_t)(sums[i] << (ES_BITS - 1)) : 0;
    if (ES_BITS == 8) return;
    for (int32_t i = used * P; i < t->words * P; i++) {
        columns[i] = 0;
        __asm__ volatile(""); /* or a few words would be filled by the library's longer way */
    }
}

/* Whether all channels can take the short way. */
static ES_COMPACT __attribute__((noinline, unused)) int es_all_are_usual(const uint8_t *shift, const int32_t *bias,
                                                                      int32_t channels, int32_t words) {
    for (int32_t o = 0; o < channels; o++) {
        if (!es_is_usual(shift[o], bias[o], words)) return 0;
    }
    return 1;
}

/* `pairs` pairs of channels, in one go where all their channels are usual; the tile's pointers move on. */
static __attribute__((noinline, unused)) void es_tile_run(es_tile *t, int32_t P, int32_t pairs, int usual) {
    const int32_t at_once = usual ? pairs : 1, bytes = es_pair_bytes(t->words) * at_once;
    for (; pairs > 0; pairs -= at_once) {
        t->w_end = t->w + bytes;
        const int32_t second = t->second;
        if (usual || (es_is_usual(t->shift[0], t->bias[0], t->words) &&
                      es_is_usual(t->shift[second], t->bias[second], t->words))) {
            es_tile_pairs(t, P);
        } else {
            es_tile_pair_any(t, P);
        }
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

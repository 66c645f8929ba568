/* Linear layers on int8 for Cortex-M, for weights of ES_BITS: rows of x are widened into scratch, two or four at a time,
 * then multiplied by packed weights (cortex_m_columns.h; the packing is in layout.py). A single row is read as it is and
 * needs no scratch (cortex_m_row.h). Bit-equal to reference/. */
#ifndef EDGESMITH_CORTEX_M_LINEAR_H
#define EDGESMITH_CORTEX_M_LINEAR_H

#include "cortex_m_columns.h"
#include "cortex_m_row.h"
#include "edgesmith_packed.h"

/* Rows that share a pass over the weights, while their columns take at most this much. */
#define COLUMN_BYTES 3072

static int32_t words_of(const es_linear_s8_params *p) { return es_whole_units((p->in_features + 1) / 2); }

static int32_t rows_together(const es_linear_s8_params *p) {
    const int32_t words = words_of(p);
    return p->rows >= 4 && 16 * words <= COLUMN_BYTES ? 4 : p->rows >= 2 && 8 * words <= COLUMN_BYTES ? 2 : 1;
}

static size_t scratch_of(const es_linear_s8_params *p) {
    const int32_t together = rows_together(p);
    return together == 1 ? 0 : (size_t)(4 * words_of(p) * together);
}

/* The constants of all channels. */
typedef struct {
    const int32_t *bias, *multiplier;
    const uint8_t *shift;
} channels;

/* n outputs from channel o on. */
static void put(const es_linear_s8_params *p, const channels *c, int32_t o, int32_t n, const uint32_t *acc, int usual,
                int8_t *y) {
    for (int32_t i = o; i < o + n; i++, acc++) {
        const int32_t sum = (int32_t)(*acc + (uint32_t)c->bias[i]);
        y[i] = usual ? es_scaled(sum, c->multiplier[i], c->shift[i], p->y_zero)
                     : es_requant_any(sum, c->multiplier[i], c->shift[i], p->y_zero);
    }
}

/* Four channels at a time; where only one pair is left, it runs as its own partner. */
static void one_row(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const channels *c, int usual,
                    int8_t *y) {
    const int32_t pair_bytes = es_pair_bytes(words_of(p));
    const uint32_t offset = es_row_offset(x, p->in_features);
    uint32_t acc[2 * ES_ROW_PAIRS];
    for (int32_t o = 0; o < p->out_features; o += 2 * ES_ROW_PAIRS, w += ES_ROW_PAIRS * pair_bytes) {
        const int32_t left = p->out_features - o;
        es_row_pairs(x, p->in_features, w, left > 2 ? pair_bytes : 0, offset, acc);
        put(p, c, o, left < 2 * ES_ROW_PAIRS ? left : 2 * ES_ROW_PAIRS, acc, usual, y);
    }
}

static inline void multiply(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, uint32_t *columns) {
    const channels c = {b, multiplier, shift};
    const int usual = es_all_are_usual(shift, b, p->out_features, words_of(p));
    const int32_t together = rows_together(p);
    es_tile t = {.y_step = p->out_features, .y_factor = 2 * p->y_zero + 1, .words = words_of(p), .y_zero = p->y_zero};
    int32_t P;
    for (int32_t row = 0; row < p->rows; row += P) {
        const int8_t *from = x + row * p->in_features;
        P = p->rows - row >= together ? together : p->rows - row >= 2 && together >= 2 ? 2 : 1;
        t.y = y + row * p->out_features;
        if (P == 1) {
            one_row(p, from, w, &c, usual, t.y);
            continue;
        }
        uint32_t sums[4] = {0, 0, 0, 0};
        for (int32_t i = 0; i < P; i++) {
            sums[i] = es_widen(from + i * p->in_features, p->in_features, columns + i, P, 0);
        }
        es_tile_columns(&t, columns, P, (p->in_features + 1) / 2, sums);
        t.w = w;
        t.bias = b;
        t.multiplier = multiplier;
        t.shift = shift;
        es_tile_channels(&t, P, p->out_features, usual);
    }
    es_clamp_all(y, p->rows * p->out_features, p->low, p->high);
}

#endif

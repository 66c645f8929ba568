/* linear_s8 for Cortex-M: rows of x are widened into scratch, up to four at a time, then multiplied by packed weights
 * (cortex_m_columns.h; the packing is in layout.py). Bit-equal to reference/. */
#include "cortex_m_columns.h"
#include "edgesmith_integer.h"

/* Rows that share a pass over the weights, while their columns take at most this much. */
#define COLUMN_BYTES 3072

static int32_t words_of(const es_linear_s8_params *p) { return (p->in_features + 1) / 2; }

static int32_t rows_together(const es_linear_s8_params *p) {
    const int32_t words = words_of(p);
    return p->rows >= 4 && 16 * words <= COLUMN_BYTES ? 4 : p->rows >= 2 && 8 * words <= COLUMN_BYTES ? 2 : 1;
}

size_t es_linear_s8_scratch(const es_linear_s8_params *p) { return (size_t)(4 * words_of(p) * rows_together(p)); }

void es_linear_s8(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const int usual = es_shifts_are_usual(shift, p->out_features);
    const int32_t together = rows_together(p);
    es_tile t = {.bias = b, .multiplier = multiplier, .shift = shift, .w = w, .y_step = p->out_features,
                 .y_factor = 2 * p->y_zero + 1, .words = words_of(p), .y_zero = p->y_zero};
    uint32_t *columns = scratch;
    int32_t P;
    for (int32_t row = 0; row < p->rows; row += P) {
        P = p->rows - row >= together ? together : p->rows - row >= 2 && together >= 2 ? 2 : 1;
        for (int32_t i = 0; i < P; i++) {
            es_widen(x + (row + i) * p->in_features, p->in_features, columns + i, P);
        }
        es_tile_columns(&t, columns, P);
        t.y = y + row * p->out_features;
        es_tile_channels(&t, P, p->out_features, usual);
    }
    es_clamp_all(y, p->rows * p->out_features, p->low, p->high);
}

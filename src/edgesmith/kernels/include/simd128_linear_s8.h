/* linear_s8 on vectors of 128 bits, for the lanes included before (simd128_product.h tells how the weights are packed).
 * Scratch: ES_ROWS rows, where their length is no multiple of 8. */
#include "edgesmith_integer.h"
#include "simd128_product.h"

size_t es_linear_s8_scratch(const es_linear_s8_params *p) {
    return p->in_features % 8 == 0 ? 0 : (size_t)(ES_ROWS * es_eights(p->in_features));
}

/* The row itself, or a copy that zeros fill up to whole eights. */
static const int8_t *whole(const int8_t *x, int32_t length, int8_t *copy) {
    if (length % 8 == 0) return x;
    es_copy(copy, x, length);
    for (int32_t i = length; i < es_eights(length); i++) copy[i] = 0;
    return copy;
}

void es_linear_s8(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const int32_t k = es_eights(p->in_features);
    const es_product product = {w, b, multiplier, shift, p->out_features, k, p->y_zero, p->low, p->high};
    for (int32_t row = 0; row < p->rows; row += ES_ROWS) {
        const int32_t rows = p->rows - row < ES_ROWS ? p->rows - row : ES_ROWS;
        const int8_t *from[ES_ROWS];
        int8_t *to[ES_ROWS];
        for (int32_t r = 0; r < rows; r++) {
            int8_t *copy = p->in_features % 8 == 0 ? NULL : (int8_t *)scratch + r * k;
            from[r] = whole(x + (row + r) * p->in_features, p->in_features, copy);
            to[r] = y + (row + r) * p->out_features;
        }
        for (int32_t r = rows; r < ES_ROWS; r++) {
            from[r] = from[rows - 1];
            to[r] = to[rows - 1];
        }
        es_multiply(&product, from, to, rows);
    }
}

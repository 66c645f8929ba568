/* linear_s8 on x86 (x86_tile.h tells how the weights are packed). Scratch: ES_X86_ROWS rows, where their
 * length is no multiple of 4. */
#include "edgesmith_integer.h"
#include "x86_tile.h"

size_t es_linear_s8_scratch(const es_linear_s8_params *p) {
    return p->in_features % 4 == 0 ? 0 : (size_t)(ES_X86_ROWS * 4 * es_x86_fours(p->in_features));
}

/* The row itself, or a copy that zeros fill up to whole fours. */
static const int8_t *whole(const int8_t *x, int32_t length, int32_t fours, int8_t *copy) {
    if (length % 4 == 0) return x;
    __builtin_memcpy(copy, x, (size_t)length);
    __builtin_memset(copy + length, 0, (size_t)(4 * fours - length));
    return copy;
}

void es_linear_s8(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const int32_t fours = es_x86_fours(p->in_features);
    const es_x86_product product = {(const uint8_t *)w, b,         multiplier, shift,  p->out_features,
                                    fours,              p->y_zero, p->low,     p->high};
    for (int32_t row = 0; row < p->rows; row += ES_X86_ROWS) {
        const int32_t rows = p->rows - row < ES_X86_ROWS ? p->rows - row : ES_X86_ROWS;
        const int8_t *from[ES_X86_ROWS];
        int8_t *to[ES_X86_ROWS];
        for (int32_t r = 0; r < ES_X86_ROWS; r++) {
            const int32_t i = row + (r < rows ? r : rows - 1);
            int8_t *copy = p->in_features % 4 == 0 ? NULL : (int8_t *)scratch + (i - row) * 4 * fours;
            from[r] = whole(x + i * p->in_features, p->in_features, fours, copy);
            to[r] = y + i * p->out_features;
        }
        es_x86_multiply(&product, from, to, rows);
    }
}

/* softmax_s8 in plain C: exponentials from a table, all in unsigned 32-bit (docs/numbers.md). */
#include "edgesmith_integer.h"

static void softmax_row(const int8_t *x, int32_t n, const uint32_t *table, int8_t *y) {
    int32_t most = x[0];
    for (int32_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    uint32_t sum = 0;
    for (int32_t i = 0; i < n; i++) sum += table[most - x[i]];
    for (int32_t i = 0; i < n; i++) {
        const uint32_t part = (512u * table[most - x[i]] + sum) / (2u * sum);
        y[i] = (int8_t)(part > 255u ? 127 : (int32_t)part - 128);
    }
}

void es_softmax_s8(const es_softmax_s8_params *p, const int8_t *x, const uint32_t *table, int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++) softmax_row(x + row * p->n, p->n, table, y + row * p->n);
}

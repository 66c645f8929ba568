/* reduce_sum_s8 in plain C: at most 2^22 addends, so the sum stays within int32 (docs/numbers.md). */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

static int32_t sum_of(const es_reduce_params *p, const int8_t *x) {
    const int32_t last = p->rank - 1, rows = es_cells(last, p->size), step = p->stride[last];
    int32_t sum = 0;
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *cell = x + es_offset(row, last, p->size, p->stride);
        for (int32_t i = 0; i < p->size[last]; i++) sum += cell[i * step] - p->x_zero;
    }
    return sum;
}

void es_reduce_sum_s8(const es_reduce_params *p, const int8_t *x, int8_t *y, void *scratch) {
    const int32_t kept = es_cells(p->kept_rank, p->kept_size);
    (void)scratch;
    for (int32_t i = 0; i < kept; i++) {
        const int32_t sum = sum_of(p, x + es_offset(i, p->kept_rank, p->kept_size, p->kept_stride));
        y[i] = es_clamp8(p->y_zero + es_requant(sum, p->multiplier, p->shift), p->low, p->high);
    }
}

/* matmul_s8 in plain C. Shapes: edgesmith_integer.h; arithmetic: docs/numbers.md. */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

static int8_t *product(const es_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y) {
    for (int32_t row = 0; row < p->rows; row++, a += p->inner) {
        for (int32_t n = 0; n < p->columns; n++) {
            const int8_t *column = b + n * p->b_column;
            int32_t sum = 0; /* inner <= 33000: stays within int32 */
            for (int32_t k = 0; k < p->inner; k++) sum += (a[k] - p->a_zero) * (column[k * p->b_row] - p->b_zero);
            *y++ = es_clamp8(p->y_zero + es_requant(sum, p->multiplier, p->shift), p->low, p->high);
        }
    }
    return y;
}

void es_matmul_s8(const es_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch) {
    const int32_t batch = es_cells(p->rank, p->size);
    (void)scratch;
    for (int32_t cell = 0; cell < batch; cell++) {
        const int8_t *left = a + es_offset(cell, p->rank, p->size, p->a_stride);
        y = product(p, left, b + es_offset(cell, p->rank, p->size, p->b_stride), y);
    }
}

/* matmul in plain C, float. Shapes: edgesmith_float.h. */
#include "edgesmith_float.h"

static float *product(const es_matmul_params *p, const float *a, const float *b, float *y) {
    for (int32_t row = 0; row < p->rows; row++, a += p->inner) {
        for (int32_t n = 0; n < p->columns; n++) {
            const float *column = b + n * p->b_column;
            float sum = 0.0f;
            for (int32_t k = 0; k < p->inner; k++) sum += a[k] * column[k * p->b_row];
            *y++ = sum;
        }
    }
    return y;
}

void es_matmul(const es_matmul_params *p, const float *a, const float *b, float *y, void *scratch) {
    const int32_t batch = es_cells(p->rank, p->size);
    (void)scratch;
    for (int32_t cell = 0; cell < batch; cell++) {
        const float *left = a + es_offset(cell, p->rank, p->size, p->a_stride);
        y = product(p, left, b + es_offset(cell, p->rank, p->size, p->b_stride), y);
    }
}

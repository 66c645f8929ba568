/* reduce_sum and reduce_mean in plain C, float. */
#include "edgesmith_float.h"

static float sum_of(const es_reduce_params *p, const float *x) {
    const int32_t last = p->rank - 1, rows = es_cells(last, p->size), step = p->stride[last];
    float sum = 0.0f;
    for (int32_t row = 0; row < rows; row++) {
        const float *cell = x + es_offset(row, last, p->size, p->stride);
        for (int32_t i = 0; i < p->size[last]; i++) sum += cell[i * step];
    }
    return sum;
}

static void reduce(const es_reduce_params *p, const float *x, float *y, float divisor) {
    const int32_t kept = es_cells(p->kept_rank, p->kept_size);
    for (int32_t i = 0; i < kept; i++) {
        y[i] = sum_of(p, x + es_offset(i, p->kept_rank, p->kept_size, p->kept_stride)) / divisor;
    }
}

void es_reduce_sum(const es_reduce_params *p, const float *x, float *y, void *scratch) {
    (void)scratch;
    reduce(p, x, y, 1.0f);
}

void es_reduce_mean(const es_reduce_params *p, const float *x, float *y, void *scratch) {
    (void)scratch;
    reduce(p, x, y, (float)es_cells(p->rank, p->size));
}

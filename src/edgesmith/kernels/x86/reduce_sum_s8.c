/* reduce_sum_s8 on x86-64: where neighbours are kept, blocks of them are summed together. Bit-equal to reference/. */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"
#include "x86_sums.h"

static int8_t result(const es_reduce_params *p, int32_t sum, int32_t cells) {
    const int64_t scaled = es_requant(sum - cells * p->x_zero, p->multiplier, p->shift);
    return es_clamp8(p->y_zero + scaled, p->low, p->high);
}

/* n neighbours from x on, each with its cells of the reduced axes. */
static void reduce(const es_reduce_params *p, const int8_t *x, int32_t n, int8_t *y) {
    const int32_t last = p->rank - 1, rows = es_cells(last, p->size), columns = p->size[last];
    int32_t sums[ES_X86_SUMS] = {0};
    for (int32_t row = 0; row < rows; row++) {
        es_x86_add(sums, x + es_offset(row, last, p->size, p->stride), 1, 0, columns, p->stride[last], n);
    }
    for (int32_t i = 0; i < n; i++) y[i] = result(p, sums[i], rows * columns);
}

void es_reduce_sum_s8(const es_reduce_params *p, const int8_t *x, int8_t *y, void *scratch) {
    const int32_t last = p->kept_rank > 0 ? p->kept_rank - 1 : 0;
    const int32_t n = p->kept_rank > 0 ? p->kept_size[last] : 1, step = p->kept_rank > 0 ? p->kept_stride[last] : 1;
    const int32_t rows = es_cells(last, p->kept_size), most = step == 1 && n > 1 ? ES_X86_SUMS : 1;
    (void)scratch;
    for (int32_t row = 0; row < rows; row++, y += n) {
        const int8_t *from = x + es_offset(row, last, p->kept_size, p->kept_stride);
        for (int32_t i = 0; i < n; i += most) reduce(p, from + i * step, n - i < most ? n - i : most, y + i);
    }
}

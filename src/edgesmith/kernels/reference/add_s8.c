/* add_s8 in plain C: short form, one rounding (docs/numbers.md). */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

static inline void add_row(const es_add_s8_params *p, const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step,
                           int8_t *y, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        const int32_t left = (a[i * a_step] - p->a_zero) * p->a_multiplier;
        const int32_t right = (b[i * b_step] - p->b_zero) * p->b_multiplier;
        y[i] = es_clamp8(p->y_zero + es_rshift(left + right, p->shift), p->low, p->high);
    }
}

void es_add_s8(const es_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch) {
    const int32_t last = p->rank - 1, rows = es_cells(last, p->size), n = p->size[last];
    const int32_t a_step = p->a_stride[last], b_step = p->b_stride[last];
    (void)scratch;
    for (int32_t row = 0; row < rows; row++, y += n) {
        const int8_t *left = a + es_offset(row, last, p->size, p->a_stride);
        const int8_t *right = b + es_offset(row, last, p->size, p->b_stride);
        if (a_step == 1 && b_step == 1) {
            add_row(p, left, 1, right, 1, y, n); /* known steps: vectors where the target has them */
        } else {
            add_row(p, left, a_step, right, b_step, y, n);
        }
    }
}

/* add_s8 in plain C: short form, one rounding (docs/numbers.md). */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

void es_add_s8(const es_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch) {
    const int32_t last = p->rank - 1, rows = es_cells(last, p->size);
    const int32_t a_step = p->a_stride[last], b_step = p->b_stride[last];
    (void)scratch;
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *left = a + es_offset(row, last, p->size, p->a_stride);
        const int8_t *right = b + es_offset(row, last, p->size, p->b_stride);
        for (int32_t i = 0; i < p->size[last]; i++, left += a_step, right += b_step) {
            const int32_t sum = (*left - p->a_zero) * p->a_multiplier + (*right - p->b_zero) * p->b_multiplier;
            *y++ = es_clamp8(p->y_zero + es_rshift(sum, p->shift), p->low, p->high);
        }
    }
}

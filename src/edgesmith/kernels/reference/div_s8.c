/* div_s8 in plain C: the quotient rounded half up once; dividing by zero saturates (docs/numbers.md). */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

static int64_t floor_divide(int64_t n, int64_t d) {
    return n / d - (n % d < 0); /* d > 0 */
}

static int64_t quotient(int64_t n, int64_t d) {
    if (d < 0) {
        n = -n;
        d = -d;
    }
    if (d == 0) return n == 0 ? 0 : n > 0 ? 512 : -512; /* beyond every bound, whatever y_zero */
    return floor_divide(2 * n + d, 2 * d);
}

void es_div_s8(const es_mul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch) {
    const int32_t last = p->rank - 1, rows = es_cells(last, p->size);
    const int32_t a_step = p->a_stride[last], b_step = p->b_stride[last];
    const int64_t unit = (int64_t)(UINT64_C(1) << p->shift);
    (void)scratch;
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *left = a + es_offset(row, last, p->size, p->a_stride);
        const int8_t *right = b + es_offset(row, last, p->size, p->b_stride);
        for (int32_t i = 0; i < p->size[last]; i++, left += a_step, right += b_step) {
            const int64_t n = (int64_t)(*left - p->a_zero) * p->multiplier, d = (*right - p->b_zero) * unit;
            *y++ = es_clamp8(p->y_zero + quotient(n, d), p->low, p->high);
        }
    }
}

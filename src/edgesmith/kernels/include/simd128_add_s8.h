/* add_s8 on vectors of 128 bits, for the lanes included before: short form, one rounding (docs/numbers.md). y may be a
 * or b: 16 elements are read before they are written. */
#include "edgesmith_integer.h"
#include "simd128_product.h"

static inline int8_t sum_of(const es_add_s8_params *p, int32_t a, int32_t b) {
    const int32_t sum = (a - p->a_zero) * p->a_multiplier + (b - p->b_zero) * p->b_multiplier;
    return es_clamp8(p->y_zero + es_rshift(sum, p->shift), p->low, p->high);
}

static void add_neighbours(const es_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n) {
    const es_lanes zeros = es_splat(es_signed(0u - (uint32_t)p->a_zero * (uint32_t)p->a_multiplier -
                                              (uint32_t)p->b_zero * (uint32_t)p->b_multiplier));
    for (; n >= 16; n -= 16, a += 16, b += 16, y += 16) {
        es_lanes left[4], right[4];
        es_widen(a, left);
        es_widen(b, right);
        for (int32_t i = 0; i < 4; i++) {
            left[i] = es_multiply_add(es_multiply_add(zeros, left[i], p->a_multiplier), right[i], p->b_multiplier);
            left[i] = es_round_shift(left[i], p->shift);
        }
        es_narrow_store(left, p->y_zero, p->low, p->high, y);
    }
    for (int32_t i = 0; i < n; i++) y[i] = sum_of(p, a[i], b[i]);
}

void es_add_s8(const es_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch) {
    const int32_t last = p->rank - 1, rows = es_cells(last, p->size), n = p->size[last];
    const int32_t a_step = p->a_stride[last], b_step = p->b_stride[last];
    (void)scratch;
    for (int32_t row = 0; row < rows; row++, y += n) {
        const int8_t *left = a + es_offset(row, last, p->size, p->a_stride);
        const int8_t *right = b + es_offset(row, last, p->size, p->b_stride);
        if (a_step == 1 && b_step == 1) {
            add_neighbours(p, left, right, y, n);
        } else {
            for (int32_t i = 0; i < n; i++) y[i] = sum_of(p, left[i * a_step], right[i * b_step]);
        }
    }
}

/* shift_add_s8 in plain C: a sum of two tensors whose scales are powers of two (docs/numbers.md). */
#include "edgesmith_fixed.h"
#include "edgesmith_shift_add.h"

/* v * 2^n in two's complement. */
static inline int32_t left(int32_t v, int32_t n) {
    return es_signed((uint32_t)v << n);
}

void es_shift_add_s8(const es_shift_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->n; i++) {
        const int32_t sum = left(a[i] - p->a_zero, p->a_left) + left(b[i] - p->b_zero, p->b_left);
        y[i] = es_clamp8((int64_t)es_rshift(sum, p->shift) + p->y_zero, p->low, p->high);
    }
}

/* rescale_s8 in plain C: short form (docs/numbers.md). */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

void es_rescale_s8(const es_rescale_s8_params *p, const int8_t *x, int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->n; i++) {
        const int32_t value = es_rshift((x[i] - p->x_zero) * p->multiplier, p->shift);
        y[i] = es_clamp8(p->y_zero + value, p->low, p->high);
    }
}

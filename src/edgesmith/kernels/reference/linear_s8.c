/* linear_s8 in plain C: the oracle. Shapes: edgesmith_integer.h; arithmetic: docs/numbers.md. */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

size_t es_linear_s8_scratch(const es_linear_s8_params *p) {
    (void)p;
    return 0;
}

void es_linear_s8(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->in_features) {
        for (int32_t o = 0; o < p->out_features; o++) {
            const int8_t *weights = w + o * p->in_features;
            uint32_t sum = (uint32_t)b[o];
            for (int32_t i = 0; i < p->in_features; i++) sum += (uint32_t)(x[i] * weights[i]);
            *y++ = es_clamp8(p->y_zero + es_requant(es_signed(sum), multiplier[o], shift[o]), p->low, p->high);
        }
    }
}

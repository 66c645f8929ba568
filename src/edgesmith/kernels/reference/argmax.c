/* argmax in plain C: over rows of n, the first of equals. */
#include "edgesmith_attention.h"

#define ARGMAX(SUFFIX, TYPE)                                                                                \
    void es_argmax_##SUFFIX(const es_argmax_params *p, const TYPE *x, uint8_t *y, void *scratch) {          \
        (void)scratch;                                                                                      \
        for (int32_t row = 0; row < p->rows; row++, x += p->n) {                                            \
            int32_t best = 0;                                                                               \
            for (int32_t i = 1; i < p->n; i++) best = x[i] > x[best] ? i : best;                            \
            y[row] = (uint8_t)best;                                                                         \
        }                                                                                                   \
    }

ARGMAX(f32, float)
ARGMAX(s8, int8_t)

/* linear_s16 in plain C: sums of products modulo 2^32. */
#include "edgesmith_classical.h"
#include "edgesmith_fixed.h"

void es_linear_s16(const es_linear_s16_params *p, const int16_t *x, const int16_t *w, const int32_t *b, int32_t *y,
                   void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->in_features) {
        const int16_t *weights = w;
        for (int32_t o = 0; o < p->out_features; o++, weights += p->in_features) {
            uint32_t sum = (uint32_t)b[o];
            for (int32_t i = 0; i < p->in_features; i++) sum += (uint32_t)(x[i] * weights[i]);
            *y++ = es_signed(sum);
        }
    }
}

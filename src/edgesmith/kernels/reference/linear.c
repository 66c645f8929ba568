/* linear in plain C, float. Shapes: edgesmith_float.h. */
#include "edgesmith_float.h"

void es_linear(const es_linear_params *p, const float *x, const float *w, const float *b, float *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->in_features) {
        for (int32_t o = 0; o < p->out_features; o++) {
            const float *weights = w + o * p->in_features;
            float sum = b[o];
            for (int32_t i = 0; i < p->in_features; i++) sum += x[i] * weights[i];
            *y++ = es_clamp_float(sum, p->low, p->high);
        }
    }
}

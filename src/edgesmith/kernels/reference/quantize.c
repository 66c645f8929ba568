/* quantize in plain C: x * a + b in two float operations, rounded half up, saturated; a NaN becomes -128. */
#include "edgesmith_integer.h"

static int8_t nearest(float t) {
    const float floor = t >= -128.0f ? t : -128.0f; /* false for a NaN */
    const float bounded = floor <= 127.0f ? floor : 127.0f;
    return (int8_t)((int32_t)(bounded + 128.5f) - 128);
}

void es_quantize(const es_quantize_params *p, const float *x, const float *a, const float *b, int8_t *y,
                 void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t c = 0; c < p->columns; c++) {
            const float product = *x++ * a[c * p->step];
            *y++ = nearest(product + b[c * p->step]);
        }
    }
}

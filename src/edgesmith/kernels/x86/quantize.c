/* quantize on x86-64: x * a + b in two float operations, rounded half up, saturated; a NaN becomes -128. The loops are
 * the compiler's to vectorize, once for each level; they equal reference/ bit for bit. */
#include "edgesmith_integer.h"
#include "x86_level.h"

ES_INLINE int8_t nearest(float t) {
    const float floor = t >= -128.0f ? t : -128.0f; /* false for a NaN */
    const float bounded = floor <= 127.0f ? floor : 127.0f;
    return (int8_t)((int32_t)(bounded + 128.5f) - 128);
}

ES_INLINE void quantize(const es_quantize_params *p, const float *x, const float *a, const float *b, int8_t *y,
                        const int32_t level) {
    (void)level;
    if (p->step == 0) {
        const float factor = a[0], more = b[0];
        const int32_t n = p->rows * p->columns;
        for (int32_t i = 0; i < n; i++) {
            const float product = x[i] * factor;
            y[i] = nearest(product + more);
        }
        return;
    }
    for (int32_t row = 0; row < p->rows; row++, x += p->columns, y += p->columns) {
        for (int32_t c = 0; c < p->columns; c++) {
            const float product = x[c] * a[c];
            y[c] = nearest(product + b[c]);
        }
    }
}

ES_X86_BODIES(run, quantize, (const es_quantize_params *p, const float *x, const float *a, const float *b, int8_t *y),
              (p, x, a, b, y))

void es_quantize(const es_quantize_params *p, const float *x, const float *a, const float *b, int8_t *y,
                 void *scratch) {
    (void)scratch;
    run(p, x, a, b, y);
}

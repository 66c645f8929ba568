/* round_float in plain C: x / scale in steps of its binade, rounded half to even by a number whose own step is 1.
 * Source: docs/numbers.md, Small floats. */
#include "edgesmith_coded.h"
#include "edgesmith_math.h"

#define WHOLE 12582912.0f /* 1.5 * 2^23 */

void es_round_float(const es_round_float_params *p, const float *x, float *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->n; i++) {
        const float t = x[i] / p->scale;
        const uint32_t sign = es_bits(t) & 0x80000000u;
        const float size = es_from_bits(es_bits(t) & 0x7fffffffu);
        if (size != size) {
            y[i] = t * p->scale;
            continue;
        }
        const float kept = size < p->greatest ? size : p->greatest;
        const float power = es_from_bits(es_bits(kept) & 0x7f800000u);
        const float step = (power > p->least ? power : p->least) * p->unit;
        const float nearest = ((kept / step + WHOLE) - WHOLE) * step;
        y[i] = es_from_bits(es_bits(nearest) | sign) * p->scale;
    }
}

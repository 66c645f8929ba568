/* outliers in plain C. Layout: edgesmith_coded.h. */
#include "edgesmith_coded.h"
#include "edgesmith_math.h"

/* A finite float16. */
static float half_of(uint16_t half) {
    const uint32_t sign = (uint32_t)half >> 15 << 31, magnitude = half & 0x7fffu;
    if (magnitude < 0x400u) return es_from_bits(es_bits((float)magnitude * 0x1p-24f) | sign);
    return es_from_bits(((magnitude + (112u << 10)) << 13) | sign);
}

void es_outliers(const es_outliers_params *p, const float *x, const uint32_t *indices, const uint16_t *values, float *y,
                 void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->n; i++) y[i] = x[i];
    for (int32_t i = 0; i < p->count; i++) y[indices[i]] = half_of(values[i]);
}

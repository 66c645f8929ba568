/* quantize_s16, affine_s16 and requantize_s16 in plain C: a column's own constants, then within [-limit, limit]. */
#include "edgesmith_classical.h"
#include "edgesmith_fixed.h"

static int16_t within(int64_t v, int32_t limit) {
    return (int16_t)(v < -limit ? -limit : v > limit ? limit : v);
}

static int16_t bounded(int32_t v, int32_t limit) {
    return (int16_t)(v < -limit ? -limit : v > limit ? limit : v);
}

void es_quantize_s16(const es_columns_s16_params *p, const float *x, const float *a, const float *b, int16_t *y,
                     void *scratch) {
    const float low = (float)-p->limit, high = (float)p->limit;
    (void)scratch;
    for (int32_t row = 0; row < p->count; row++) {
        for (int32_t i = 0; i < p->n; i++) {
            const float product = *x++ * a[i], t = product + b[i];
            const float floor = t >= low ? t : low; /* false for a NaN */
            *y++ = (int16_t)((int32_t)((floor <= high ? floor : high) + 32768.5f) - 32768);
        }
    }
}

#define AFFINE(NAME, INPUT)                                                                                     \
    void NAME(const es_columns_s16_params *p, const INPUT *x, const int16_t *m, const int32_t *b,               \
              const uint8_t *right, int16_t *y, void *scratch) {                                                \
        (void)scratch;                                                                                          \
        for (int32_t row = 0; row < p->count; row++) {                                                          \
            for (int32_t i = 0; i < p->n; i++) {                                                                \
                const int32_t v = *x++ * m[i] + b[i] + (int32_t)((1u << right[i]) >> 1);                        \
                *y++ = bounded(v >> right[i], p->limit);                                                        \
            }                                                                                                   \
        }                                                                                                       \
    }

AFFINE(es_affine_s16_u8, uint8_t)
AFFINE(es_affine_s16_s8, int8_t)
AFFINE(es_affine_s16_s16, int16_t)

void es_requantize_s16(const es_columns_s16_params *p, const int32_t *x, const int32_t *multiplier,
                       const uint8_t *shift, int16_t *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->count; row++) {
        for (int32_t i = 0; i < p->n; i++) *y++ = within(es_requant(*x++, multiplier[i], shift[i]), p->limit);
    }
}

/* dequantize in plain C: (x - zero) * scale for each element type; the difference is exact. */
#include "edgesmith_integer.h"

#define DEQUANTIZE(NAME, TYPE, WIDE)                                                                         \
    void es_dequantize_##NAME(const es_dequantize_params *p, const TYPE *x, float *y, void *scratch) {       \
        (void)scratch;                                                                                       \
        for (int32_t i = 0; i < p->n; i++) y[i] = (float)((WIDE)x[i] - p->zero) * p->scale;                  \
    }

DEQUANTIZE(s8, int8_t, int32_t)
DEQUANTIZE(u8, uint8_t, int32_t)
DEQUANTIZE(s16, int16_t, int32_t)
DEQUANTIZE(s32, int32_t, int64_t)

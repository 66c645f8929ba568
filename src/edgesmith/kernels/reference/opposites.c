/* opposites in plain C: x to (-x, x); the least int32 counts as its neighbour. */
#include "edgesmith_classical.h"

void es_opposites_f32(const es_opposites_params *p, const float *x, float *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->m; i++) {
        *y++ = -x[i];
        *y++ = x[i];
    }
}

void es_opposites_s32(const es_opposites_params *p, const int32_t *x, int32_t *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->m; i++) {
        const int32_t v = x[i] == INT32_MIN ? -INT32_MAX : x[i];
        *y++ = -v;
        *y++ = v;
    }
}

/* distances and distances_s16 in plain C: sums of squared differences, those of int16 modulo 2^32. */
#include "edgesmith_classical.h"
#include "edgesmith_fixed.h"

void es_distances(const es_distances_params *p, const float *x, const float *c, float *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->m; row++, c += p->n) {
        float sum = 0.0f;
        for (int32_t i = 0; i < p->n; i++) sum += (x[i] - c[i]) * (x[i] - c[i]);
        y[row] = sum;
    }
}

void es_distances_s16(const es_distances_params *p, const int16_t *x, const int16_t *c, int32_t *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->m; row++, c += p->n) {
        uint32_t sum = 0;
        for (int32_t i = 0; i < p->n; i++) {
            const uint32_t away = (uint32_t)(x[i] - c[i]);
            sum += away * away;
        }
        y[row] = es_signed(sum);
    }
}

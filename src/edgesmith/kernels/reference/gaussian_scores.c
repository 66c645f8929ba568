/* gaussian_scores and gaussian_scores_s16 in plain C. */
#include "edgesmith_classical.h"
#include "edgesmith_fixed.h"

void es_gaussian_scores(const es_gaussian_scores_params *p, const float *x, const float *c, const float *w,
                        const float *b, float *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->m; row++, x += p->x_step, c += p->c_step, w += p->w_step) {
        float sum = 0.0f;
        for (int32_t i = 0; i < p->n; i++) {
            const float z = (x[i] - c[i]) * w[i];
            sum += z * z;
        }
        y[row] = b[row] - sum;
    }
}

static int32_t within(int32_t v, int32_t limit) {
    return v < -limit ? -limit : v > limit ? limit : v;
}

void es_gaussian_scores_s16(const es_gaussian_scores_params *p, const int16_t *x, const int16_t *c, const int16_t *w,
                            const int32_t *b, const uint8_t *right, int32_t *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->m; row++, x += p->x_step, c += p->c_step, w += p->w_step, right += p->w_step) {
        uint32_t sum = 0;
        for (int32_t i = 0; i < p->n; i++) {
            const int32_t away = within(x[i] - c[i], 32767);
            const int32_t half = (int32_t)((1u << right[i]) >> 1); /* no branch for a shift of 0 */
            const int32_t z = within((away * w[i] + half) >> right[i], p->limit);
            sum += (uint32_t)(z * z);
        }
        y[row] = es_signed((uint32_t)b[row] - sum);
    }
}

/* softmax, layer_norm, rms_norm and affine in plain C, float, over rows. */
#include "edgesmith_float.h"
#include "edgesmith_math.h"

static void softmax_row(const float *x, int32_t n, float *y) {
    float most = x[0], sum = 0.0f;
    for (int32_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int32_t i = 0; i < n; i++) {
        y[i] = es_expf(x[i] - most);
        sum += y[i];
    }
    for (int32_t i = 0; i < n; i++) y[i] /= sum;
}

void es_softmax(const es_rows_params *p, const float *x, float *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++) softmax_row(x + row * p->n, p->n, y + row * p->n);
}

/* Root of the mean square distance from `centre`, eps added below the root. */
static float deviation(const es_rows_params *p, const float *x, float centre) {
    float sum = 0.0f;
    for (int32_t i = 0; i < p->n; i++) sum += (x[i] - centre) * (x[i] - centre);
    return es_sqrtf(sum / (float)p->n + p->eps);
}

void es_layer_norm(const es_rows_params *p, const float *x, const float *gamma, const float *beta, float *y,
                   void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        float sum = 0.0f;
        for (int32_t i = 0; i < p->n; i++) sum += x[i];
        const float mean = sum / (float)p->n, spread = deviation(p, x, mean);
        for (int32_t i = 0; i < p->n; i++) y[i] = (x[i] - mean) / spread * gamma[i] + beta[i];
    }
}

void es_rms_norm(const es_rows_params *p, const float *x, const float *gamma, float *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        const float spread = deviation(p, x, 0.0f);
        for (int32_t i = 0; i < p->n; i++) y[i] = x[i] / spread * gamma[i];
    }
}

void es_affine(const es_rows_params *p, const float *x, const float *scale, const float *shift, float *y,
               void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t i = 0; i < p->n; i++) *y++ = *x++ * scale[i] + shift[i];
    }
}

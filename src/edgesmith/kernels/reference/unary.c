/* Functions of one float in plain C. */
#include "edgesmith_float.h"
#include "edgesmith_math.h"

#define UNARY(NAME, EXPRESSION)                                                                  \
    void es_##NAME(const es_unary_params *p, const float *x, float *y, void *scratch) {          \
        (void)scratch;                                                                           \
        for (int32_t i = 0; i < p->n; i++) {                                                     \
            const float v = x[i];                                                                \
            y[i] = EXPRESSION;                                                                   \
        }                                                                                        \
    }

/* arXiv:1606.08415, section 2: the tanh approximation. 0.79788456 = sqrt(2 / pi). */
static float gelu_tanh(float v) {
    return 0.5f * v * (1.0f + es_tanhf(0.79788456f * (v + 0.044715f * v * v * v)));
}

/* v * Phi(v). 0.70710678 = sqrt(1 / 2). */
static float gelu(float v) {
    return 0.5f * v * (1.0f + es_erff(v * 0.70710678f));
}

UNARY(hardswish, v * es_clamp_float(v + 3.0f, 0.0f, 6.0f) / 6.0f)
UNARY(hardsigmoid, es_clamp_float(v + 3.0f, 0.0f, 6.0f) / 6.0f)
UNARY(sigmoid, es_sigmoidf(v))
UNARY(tanh, es_tanhf(v))
UNARY(gelu, gelu(v))
UNARY(gelu_tanh, gelu_tanh(v))
UNARY(silu, v * es_sigmoidf(v))
UNARY(sqrt, es_sqrtf(v))
UNARY(rsqrt, 1.0f / es_sqrtf(v))
UNARY(exp, es_expf(v))
UNARY(log, es_logf(v))
UNARY(abs, v < 0.0f ? -v : v + 0.0f)
UNARY(neg, -v)

void es_clamp(const es_clamp_params *p, const float *x, float *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->n; i++) y[i] = es_clamp_float(x[i], p->low, p->high);
}

void es_leaky_relu(const es_leaky_relu_params *p, const float *x, float *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->n; i++) y[i] = x[i] < 0.0f ? x[i] * p->slope : x[i];
}

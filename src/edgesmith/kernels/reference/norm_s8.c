/* layer_norm_s8 and rms_norm_s8 in plain C: a Q10 normalized value, two 64-bit divisions a row (docs/numbers.md). */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

static uint32_t root(uint64_t v) {
    uint64_t result = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1) {
        const uint64_t trial = result | bit;
        if (trial * trial <= v) result = trial;
    }
    return (uint32_t)result;
}

/* y of one row whose centred values are d_i = scale * x_i - centre. */
static void normalize(const es_norm_s8_params *p, const int8_t *x, int32_t scale, int32_t centre, const int16_t *gamma,
                      const int32_t *beta, int8_t *y) {
    uint64_t squares = 0;
    for (int32_t i = 0; i < p->n; i++) {
        const int64_t d = scale * x[i] - centre;
        squares += (uint64_t)(d * d);
    }
    const uint64_t v = (squares << 14) / (uint64_t)p->n + (uint64_t)(p->eps > 1 ? p->eps : 1);
    const uint32_t r = root(v);
    const int32_t e = es_bit_length(r);
    const int64_t inverse = (int64_t)((UINT64_C(1) << (30 + e)) / r);
    for (int32_t i = 0; i < p->n; i++) {
        const int32_t z = (int32_t)es_rshift64((scale * x[i] - centre) * inverse, 13 + e);
        y[i] = es_clamp8(p->y_zero + es_requant(z * gamma[i] + beta[i], p->multiplier, p->shift), p->low, p->high);
    }
}

void es_layer_norm_s8(const es_norm_s8_params *p, const int8_t *x, const int16_t *gamma, const int32_t *beta, int8_t *y,
                      void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        int32_t sum = 0;
        for (int32_t i = 0; i < p->n; i++) sum += x[i];
        normalize(p, x, p->n, sum, gamma, beta, y);
    }
}

void es_rms_norm_s8(const es_norm_s8_params *p, const int8_t *x, const int16_t *gamma, const int32_t *beta, int8_t *y,
                    void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++) {
        normalize(p, x + row * p->n, 1, p->x_zero, gamma, beta, y + row * p->n);
    }
}

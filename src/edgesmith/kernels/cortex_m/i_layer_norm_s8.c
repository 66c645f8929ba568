/* i_layer_norm_s8 for Cortex-M: as reference/, the requantizer made once for all rows. Bit-equal; y may be x. */
#include "cortex_m_requant.h"
#include "edgesmith_attention.h"

#define NEWTON_STEPS 10

static ES_COMPACT uint32_t root(uint32_t v) {
    uint32_t k = v < 4 ? (v > 0) : UINT32_C(1) << ((es_bit_length(v) + 1) / 2);
    for (int32_t step = v < 4 ? NEWTON_STEPS : 0; step < NEWTON_STEPS; step++) {
        const uint32_t next = (k + v / k) >> 1;
        if (next >= k) break;
        k = next;
    }
    return k;
}

/* What one row is normalized by: every value moves left by `fraction`, loses `mean` and is multiplied by `factor`. */
typedef struct {
    int32_t mean, factor;
} row_scale;

static row_scale scale_of(const es_i_layer_norm_s8_params *p, const int8_t *x) {
    int32_t sum = 128 * p->n;
    uint32_t squares = 0;
    for (int32_t i = 0; i < p->n; i++) sum += x[i];
    const int32_t centre = (2 * (sum << p->fraction) + p->n) / (2 * p->n) - (128 << p->fraction);
    for (int32_t i = 0; i < p->n; i++) {
        const int32_t d = x[i] * (1 << p->fraction) - centre;
        squares += (uint32_t)(d * d);
    }
    const uint32_t deviation = root(squares);
    const row_scale s = {centre, (int32_t)((uint32_t)INT32_MAX / (deviation > 0 ? deviation : 1))};
    return s;
}

void es_i_layer_norm_s8(const es_i_layer_norm_s8_params *p, const int8_t *x, const int16_t *gamma, const int32_t *beta,
                        int8_t *y, void *scratch) {
    const int usual = es_shift_is_usual((uint32_t)p->shift);
    const es_channel c = usual ? es_channel_of(p->multiplier, (uint32_t)p->shift, p->y_zero) : (es_channel){0, 0, 0};
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        const row_scale s = scale_of(p, x);
        for (int32_t i = 0; i < p->n; i++) {
            const int32_t d = x[i] * (1 << p->fraction) - s.mean;
            const int32_t acc = es_rshift((d * s.factor) >> 1, 15) * gamma[i] + beta[i];
            y[i] = usual ? es_channel_apply(c, acc) : es_requant_any(acc, p->multiplier, (uint32_t)p->shift, p->y_zero);
        }
        es_clamp_all(y, p->n, p->low, p->high);
    }
}

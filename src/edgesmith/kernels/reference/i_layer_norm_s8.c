/* i_layer_norm_s8 in plain C: 32 bits throughout, the root by Newton's steps (arXiv:2207.01405, section 3.4;
 * docs/numbers.md, Shift forms). */
#include "edgesmith_fixed.h"
#include "edgesmith_attention.h"

#define NEWTON_STEPS 10

static uint32_t root(uint32_t v) {
    uint32_t k = v < 4 ? (v > 0) : UINT32_C(1) << ((33 - __builtin_clz(v)) / 2);
    if (v < 4) return k;
    for (int32_t step = 0; step < NEWTON_STEPS; step++) {
        const uint32_t next = (k + v / k) >> 1;
        if (next >= k) break;
        k = next;
    }
    return k;
}

void es_i_layer_norm_s8(const es_i_layer_norm_s8_params *p, const int8_t *x, const int16_t *gamma, const int32_t *beta,
                        int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        int32_t sum = 0;
        uint32_t squares = 0;
        for (int32_t i = 0; i < p->n; i++) sum += x[i] + 128;
        const int32_t mean = (2 * (sum << p->fraction) + p->n) / (2 * p->n);
        for (int32_t i = 0; i < p->n; i++) {
            const int32_t d = ((x[i] + 128) << p->fraction) - mean;
            squares += (uint32_t)(d * d);
        }
        const uint32_t deviation = root(squares);
        const int32_t factor = (int32_t)((uint32_t)INT32_MAX / (deviation > 0 ? deviation : 1));
        for (int32_t i = 0; i < p->n; i++) {
            const int32_t d = ((x[i] + 128) << p->fraction) - mean;
            const int32_t z = es_rshift((d * factor) >> 1, 15);
            y[i] = es_clamp8(p->y_zero + es_requant(z * gamma[i] + beta[i], p->multiplier, p->shift), p->low, p->high);
        }
    }
}

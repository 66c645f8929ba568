/* gelu_delta_s8 in plain C: ReLU minus its distance to GELU, interpolated in a table (arXiv:2305.18691, section IV-C). */
#include "edgesmith_fixed.h"
#include "edgesmith_attention.h"

#define LAST 160 /* entry of the table */

static inline int32_t distance_of(int32_t t, const uint16_t *table) {
    const int32_t i = t >> 8, f = t & 255;
    if (i >= LAST) return 0;
    return table[i] + (((table[i + 1] - table[i]) * f + 128) >> 8);
}

void es_gelu_delta_s8(const es_gelu_delta_s8_params *p, const int8_t *x, const uint16_t *table, int8_t *y,
                      void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->n; i++) {
        const int32_t v = x[i] - p->x_zero;
        const int32_t t = es_rshift((v < 0 ? -v : v) * p->exp_multiplier, p->exp_shift);
        const int32_t relu = v > 0 ? es_rshift(v * p->relu_multiplier, p->relu_shift) : 0;
        const int64_t acc = es_requant(relu - distance_of(t, table), p->multiplier, p->shift);
        y[i] = es_clamp8(p->y_zero + acc, p->low, p->high);
    }
}

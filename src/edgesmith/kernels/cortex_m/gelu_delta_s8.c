/* gelu_delta_s8 for Cortex-M: the requantizer made once. Bit-equal to reference/; y may be x. */
#include "cortex_m_requant.h"
#include "edgesmith_attention.h"

#define LAST 160 /* entry of the table */

static inline int32_t distance_of(int32_t t, const uint16_t *table) {
    const int32_t i = t >> 8;
    if (i >= LAST) return 0;
    const int32_t low = table[i];
    return low + (((table[i + 1] - low) * (t & 255) + 128) >> 8);
}

void es_gelu_delta_s8(const es_gelu_delta_s8_params *p, const int8_t *x, const uint16_t *table, int8_t *y,
                      void *scratch) {
    const int usual = es_shift_is_usual((uint32_t)p->shift);
    const es_channel c = usual ? es_channel_of(p->multiplier, (uint32_t)p->shift, p->y_zero) : (es_channel){0, 0, 0};
    const int32_t x_zero = p->x_zero, index = p->exp_multiplier, relu = p->relu_multiplier;
    const int32_t index_half = p->exp_shift ? 1 << (p->exp_shift - 1) : 0, index_shift = p->exp_shift;
    const int32_t relu_half = p->relu_shift ? 1 << (p->relu_shift - 1) : 0, relu_shift = p->relu_shift;
    (void)scratch;
    for (int32_t i = 0; i < p->n; i++) {
        const int32_t v = x[i] - x_zero, positive = v > 0 ? v : 0;
        const int32_t t = ((v < 0 ? -v : v) * index + index_half) >> index_shift;
        const int32_t acc = ((positive * relu + relu_half) >> relu_shift) - distance_of(t, table);
        y[i] = usual ? es_channel_apply(c, acc) : es_requant_any(acc, p->multiplier, (uint32_t)p->shift, p->y_zero);
    }
    es_clamp_all(y, p->n, p->low, p->high);
}

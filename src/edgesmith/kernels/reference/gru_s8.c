/* gru_s8 in plain C (docs/numbers.md, Recurrent ops). The state is int16; its int8 form feeds the next step. */
#include "edgesmith_gates.h"
#include "edgesmith_sequence.h"

size_t es_gru_s8_scratch(const es_recurrent_s8_params *p) {
    return (size_t)p->hidden;
}

static int8_t hidden_of(const es_recurrent_s8_params *p, int16_t h) {
    return es_clamp8(p->h_zero + es_requant(h, p->multiplier, p->shift), p->low, p->high);
}

/* New state of unit j from x and the int8 state of all units. */
static int16_t unit(const es_recurrent_s8_params *p, const es_side *ih, const es_side *hh, const int8_t *x,
                    const int8_t *last, const int16_t *sigmoid, const int16_t *tanh, int32_t j, int16_t h) {
    const int32_t z_row = p->hidden + j, n_row = 2 * p->hidden + j;
    const int32_t r = es_interpolate(sigmoid, es_clamp16(es_gate(ih, x, j) + es_gate(hh, last, j)));
    const int32_t z = es_interpolate(sigmoid, es_clamp16(es_gate(ih, x, z_row) + es_gate(hh, last, z_row)));
    const int32_t reset = es_rshift(r * es_clamp16(es_gate(hh, last, n_row)), 15);
    const int32_t n = es_interpolate(tanh, es_clamp16(es_gate(ih, x, n_row) + reset));
    return es_clamp16(es_rshift64((int64_t)(32768 - z) * n + (int64_t)z * h, 15));
}

void es_gru_s8(const es_recurrent_s8_params *p, const int8_t *x, const int16_t *h0, const int8_t *w_ih,
               const int8_t *w_hh, const int32_t *b_ih, const int32_t *b_hh, const int32_t *ih_multiplier,
               const uint8_t *ih_shift, const int32_t *hh_multiplier, const uint8_t *hh_shift, const int16_t *sigmoid,
               const int16_t *tanh, int8_t *y, int16_t *h, void *scratch) {
    const es_side ih = {w_ih, b_ih, ih_multiplier, ih_shift, p->width};
    const es_side hh = {w_hh, b_hh, hh_multiplier, hh_shift, p->hidden};
    int8_t *first = scratch;
    for (int32_t j = 0; j < p->hidden; j++) {
        h[j] = h0[j];
        first[j] = hidden_of(p, h0[j]);
    }
    const int8_t *last = first;
    for (int32_t step = 0; step < p->steps; step++, x += p->width, last = y, y += p->hidden) {
        for (int32_t j = 0; j < p->hidden; j++) {
            h[j] = unit(p, &ih, &hh, x, last, sigmoid, tanh, j, h[j]);
            y[j] = hidden_of(p, h[j]);
        }
    }
}

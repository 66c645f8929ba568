/* lstm_s8 in plain C (docs/numbers.md, Recurrent ops). Row t of y is the hidden value after step t, so each step reads
 * the row before. */
#include "edgesmith_gates.h"
#include "edgesmith_sequence.h"

/* The cell at scale 2^-bits as a Q3.12 gate. */
static int16_t cell_gate(int16_t c, int32_t bits) {
    return es_clamp16(bits >= 12 ? es_rshift(c, bits - 12) : c * (int32_t)(1u << (12 - bits)));
}

/* New cell and hidden value of one unit from its clamped gates i, f, g, o. */
static int8_t unit(const es_recurrent_s8_params *p, const int16_t *gate, const int16_t *sigmoid, const int16_t *tanh,
                   int16_t *c) {
    const int32_t kept = es_rshift(es_interpolate(sigmoid, gate[1]) * *c, 15);
    const int32_t product = es_interpolate(sigmoid, gate[0]) * es_interpolate(tanh, gate[2]);
    const int32_t added = es_rshift(product, 30 - p->cell_bits);
    *c = es_clamp16(kept + added);
    const int32_t out = es_interpolate(sigmoid, gate[3]) * es_interpolate(tanh, cell_gate(*c, p->cell_bits));
    return es_clamp8(p->h_zero + es_requant(out, p->multiplier, p->shift), p->low, p->high);
}

void es_lstm_s8(const es_recurrent_s8_params *p, const int8_t *x, const int8_t *h0, const int16_t *c0,
                const int8_t *w_ih, const int8_t *w_hh, const int32_t *b_ih, const int32_t *b_hh,
                const int32_t *ih_multiplier, const uint8_t *ih_shift, const int32_t *hh_multiplier,
                const uint8_t *hh_shift, const int16_t *sigmoid, const int16_t *tanh, int8_t *y, int8_t *h,
                int16_t *c, void *scratch) {
    const es_side ih = {w_ih, b_ih, ih_multiplier, ih_shift, p->width};
    const es_side hh = {w_hh, b_hh, hh_multiplier, hh_shift, p->hidden};
    const size_t hidden = (size_t)p->hidden;
    const int8_t *last = h0;
    (void)scratch;
    __builtin_memcpy(c, c0, hidden * sizeof *c);
    for (int32_t step = 0; step < p->steps; step++, x += p->width, last = y, y += p->hidden) {
        for (int32_t j = 0; j < p->hidden; j++) {
            int16_t gate[4];
            for (int32_t g = 0; g < 4; g++) {
                const int32_t row = g * p->hidden + j;
                gate[g] = es_clamp16(es_gate(&ih, x, row) + es_gate(&hh, last, row));
            }
            y[j] = unit(p, gate, sigmoid, tanh, &c[j]);
        }
    }
    __builtin_memcpy(h, last, hidden);
}

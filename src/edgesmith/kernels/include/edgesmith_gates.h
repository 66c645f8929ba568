/* Gates of the integer recurrent kernels (docs/numbers.md, Recurrent ops). */
#ifndef EDGESMITH_GATES_H
#define EDGESMITH_GATES_H

#include "edgesmith_fixed.h"

/* One side of a gate: rows of n weights with a bias and a requantizer each. */
typedef struct {
    const int8_t *w;
    const int32_t *b, *multiplier;
    const uint8_t *shift;
    int32_t n;
} es_side;

/* Row `row` of a side times x, requantized to Q3.12, not clamped. */
static inline int64_t es_gate(const es_side *side, const int8_t *x, int32_t row) {
    const int8_t *w = side->w + row * side->n;
    uint32_t sum = (uint32_t)side->b[row];
    for (int32_t i = 0; i < side->n; i++) sum += (uint32_t)(x[i] * w[i]);
    return es_requant(es_signed(sum), side->multiplier[row], side->shift[row]);
}

/* A function of a Q3.12 gate through its 513-entry table, to Q0.15. */
static inline int32_t es_interpolate(const int16_t *table, int16_t gate) {
    const int32_t place = gate + 32768, i = place >> 7, f = place & 127;
    return table[i] + (((table[i + 1] - table[i]) * f + 64) >> 7);
}

#endif

/* shiftmax_s8 and shift_gelu_s8 in plain C (arXiv:2207.01405, algorithms 1 and 2; docs/numbers.md, Shift forms). */
#include "edgesmith_attention.h"
#include "edgesmith_shift.h"

#define MOST_OCTAVES 15
#define GELU_OCTAVES 20

static int32_t largest(const int8_t *x, int32_t n) {
    int32_t most = x[0];
    for (int32_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

/* So many octaves that the sum of n exponentials stays within 32 bits. */
static uint32_t octaves_of(int32_t n) {
    const int32_t room = 22 - es_bit_length((uint64_t)n);
    return (uint32_t)(room < MOST_OCTAVES ? room : MOST_OCTAVES);
}

static inline uint32_t exponential(int32_t distance, int32_t multiplier, int32_t shift, uint32_t octaves) {
    return es_shift_exp((uint32_t)es_rshift(distance * multiplier, shift), octaves);
}

void es_shiftmax_s8(const es_shiftmax_s8_params *p, const int8_t *x, int8_t *y, void *scratch) {
    const uint32_t octaves = octaves_of(p->n);
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        const int32_t most = largest(x, p->n);
        uint32_t sum = 0;
        for (int32_t i = 0; i < p->n; i++) sum += exponential(most - x[i], p->exp_multiplier, p->exp_shift, octaves);
        const es_reciprocal r = es_reciprocal_of(sum);
        for (int32_t i = 0; i < p->n; i++) {
            y[i] = es_probability(es_share(exponential(most - x[i], p->exp_multiplier, p->exp_shift, octaves), r));
        }
    }
}

void es_shift_gelu_s8(const es_shift_gelu_s8_params *p, const int8_t *x, int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        int32_t most = largest(x, p->n);
        most = (most < p->limit ? most : p->limit) - p->x_zero;
        most = most > 0 ? most : 0;
        const uint32_t zero = exponential(most, p->exp_multiplier, p->exp_shift, GELU_OCTAVES);
        for (int32_t i = 0; i < p->n; i++) {
            const int32_t z = (x[i] < p->limit ? x[i] : p->limit) - p->x_zero;
            const uint32_t e = exponential(most - z, p->exp_multiplier, p->exp_shift, GELU_OCTAVES);
            const int32_t acc = z * es_share(e, es_reciprocal_of(e + zero));
            y[i] = es_clamp8(p->y_zero + es_requant(acc, p->multiplier, p->shift), p->low, p->high);
        }
    }
}

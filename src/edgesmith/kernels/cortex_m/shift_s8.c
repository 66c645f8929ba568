/* shiftmax_s8 and shift_gelu_s8 for Cortex-M: rounding constants and requantizer made once. Bit-equal to reference/. */
#include "cortex_m_requant.h"
#include "edgesmith_attention.h"
#include "edgesmith_shift.h"

#define MOST_OCTAVES 15
#define GELU_OCTAVES 20

/* What brings a distance of stored values to an exponent. */
typedef struct {
    int32_t multiplier, half, shift;
    uint32_t octaves;
} exponent;

static inline exponent exponent_of(int32_t multiplier, int32_t shift, uint32_t octaves) {
    const exponent e = {multiplier, shift ? 1 << (shift - 1) : 0, shift, octaves};
    return e;
}

static inline uint32_t exponential(exponent e, int32_t distance) {
    return es_shift_exp((uint32_t)((distance * e.multiplier + e.half) >> e.shift), e.octaves);
}

static int32_t largest(const int8_t *x, int32_t n) {
    int32_t most = x[0];
    for (int32_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

void es_shiftmax_s8(const es_shiftmax_s8_params *p, const int8_t *x, int8_t *y, void *scratch) {
    const int32_t room = 22 - es_bit_length((uint64_t)p->n);
    const uint32_t octaves = (uint32_t)(room < MOST_OCTAVES ? room : MOST_OCTAVES);
    const exponent e = exponent_of(p->exp_multiplier, p->exp_shift, octaves);
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        const int32_t most = largest(x, p->n);
        uint32_t sum = 0;
        for (int32_t i = 0; i < p->n; i++) sum += exponential(e, most - x[i]);
        const es_reciprocal r = es_reciprocal_of(sum);
        for (int32_t i = 0; i < p->n; i++) y[i] = es_probability(es_share(exponential(e, most - x[i]), r));
    }
}

void es_shift_gelu_s8(const es_shift_gelu_s8_params *p, const int8_t *x, int8_t *y, void *scratch) {
    const int usual = es_shift_is_usual((uint32_t)p->shift);
    const es_channel c = usual ? es_channel_of(p->multiplier, (uint32_t)p->shift, p->y_zero) : (es_channel){0, 0, 0};
    const exponent e = exponent_of(p->exp_multiplier, p->exp_shift, GELU_OCTAVES);
    const int32_t limit = p->limit, x_zero = p->x_zero;
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        int32_t most = largest(x, p->n);
        most = (most < limit ? most : limit) - x_zero;
        most = most > 0 ? most : 0;
        const uint32_t zero = exponential(e, most);
        for (int32_t i = 0; i < p->n; i++) {
            const int32_t z = (x[i] < limit ? x[i] : limit) - x_zero;
            const uint32_t part = exponential(e, most - z);
            const int32_t acc = z * es_share(part, es_reciprocal_of(part + zero));
            y[i] = usual ? es_channel_apply(c, acc) : es_requant_any(acc, p->multiplier, (uint32_t)p->shift, p->y_zero);
        }
        es_clamp_all(y, p->n, p->low, p->high);
    }
}

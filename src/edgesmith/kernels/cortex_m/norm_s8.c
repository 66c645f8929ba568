/* layer_norm_s8 and rms_norm_s8 for Cortex-M: the root by Newton's steps instead of bit by bit, 32-bit words wherever
 * the row allows them, the requantizer made once. Bit-equal to reference/; y may be x. */
#include "cortex_m_requant.h"
#include "edgesmith_integer.h"

/* floor(sqrt(v)): from a power of two above it, Newton's steps fall until they reach it. */
static ES_COMPACT uint32_t root(uint64_t v) {
    uint64_t k = UINT64_C(1) << ((es_bit_length(v) + 1) / 2);
    if (v == 0) return 0;
    for (;;) {
        const uint64_t next = (k + v / k) >> 1;
        if (next >= k) return (uint32_t)k;
        k = next;
    }
}

/* Bits that a centred value, below 2^19 (n <= 2048), can move left before it is multiplied. */
#define ROOM 8

/* d * inverse / 2^shift, halves up: Q10. */
static inline int32_t scaled(int32_t d, uint32_t inverse, int32_t shift) {
    return (int32_t)(((int64_t)d * (int64_t)inverse + (INT64_C(1) << (shift - 1))) >> shift);
}

/* The same from the high word of the product, for shift + ROOM >= 33 and inverse < 2^31. */
static inline int32_t scaled_high(int32_t d, uint32_t inverse, int32_t shift) {
    const int32_t high = es_high_word(d * (1 << ROOM), (int32_t)inverse);
    return (high + (1 << (shift + ROOM - 33))) >> (shift + ROOM - 32);
}

/* y of one row whose centred values are d_i = scale * x_i - centre. */
static void normalize(const es_norm_s8_params *p, const int8_t *x, int32_t scale, int32_t centre, const int16_t *gamma,
                      const int32_t *beta, int8_t *y) {
    const int usual = es_shift_is_usual((uint32_t)p->shift);
    const es_channel c = usual ? es_channel_of(p->multiplier, (uint32_t)p->shift, p->y_zero) : (es_channel){0, 0, 0};
    uint64_t squares = 0;
    for (int32_t i = 0; i < p->n; i++) {
        const int32_t d = scale * x[i] - centre;
        squares += (uint64_t)((int64_t)d * d);
    }
    const uint64_t v = (squares << 14) / (uint64_t)p->n + (uint64_t)(p->eps > 1 ? p->eps : 1);
    const uint32_t r = root(v);
    const int32_t e = es_bit_length(r);
    const uint32_t inverse = (uint32_t)((UINT64_C(1) << (30 + e)) / r);
    const int high = usual && 13 + e + ROOM >= 33 && inverse < UINT32_C(1) << 31;
    for (int32_t i = 0; high && i < p->n; i++) {
        y[i] = es_channel_apply(c, scaled_high(scale * x[i] - centre, inverse, 13 + e) * gamma[i] + beta[i]);
    }
    for (int32_t i = 0; !high && i < p->n; i++) {
        const int32_t acc = scaled(scale * x[i] - centre, inverse, 13 + e) * gamma[i] + beta[i];
        y[i] = usual ? es_channel_apply(c, acc) : es_requant_any(acc, p->multiplier, (uint32_t)p->shift, p->y_zero);
    }
    es_clamp_all(y, p->n, p->low, p->high);
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

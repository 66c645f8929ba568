/* The shift exponential of I-ViT and parts of a sum, as the integer kernels of attention use them (docs/numbers.md,
 * Shift forms). No division but one of 32 bits for each sum. */
#ifndef EDGESMITH_SHIFT_H
#define EDGESMITH_SHIFT_H

#include <stdint.h>

#include "edgesmith_fixed.h"

/* Fractional bits of an exponent. */
#define ES_OCTAVE 10

/* 2^(10 + octaves) * e^(-u / 1024), about; 0 <= u < 2^30. */
static inline uint32_t es_shift_exp(uint32_t u, uint32_t octaves) {
    const uint32_t most = octaves << ES_OCTAVE;
    uint32_t p = u + ((u + 1u) >> 1) - ((u + 15u) >> 4);
    p = p < most ? p : most;
    const uint32_t f = p & ((1u << ES_OCTAVE) - 1u);
    return (((2u << ES_OCTAVE) - f) << (octaves - (p >> ES_OCTAVE))) >> 1;
}

/* What a part of a sum is multiplied by and shifted by to give its share in Q15. */
typedef struct {
    uint32_t factor;
    int32_t shift;
} es_reciprocal;

static inline es_reciprocal es_reciprocal_of(uint32_t sum) {
    const int32_t bits = 32 - __builtin_clz(sum);
    const uint32_t upper = bits > 16 ? sum >> (bits - 16) : sum << (16 - bits);
    const es_reciprocal r = {UINT32_MAX / upper, bits + 1};
    return r;
}

static inline int32_t es_share(uint32_t e, es_reciprocal r) {
    return (int32_t)(((uint64_t)e * r.factor) >> r.shift);
}

/* A share in Q15 as int8 at scale 1/256, zero point -128. */
static inline int8_t es_probability(int32_t share) {
    const int32_t y = ((share + 64) >> 7) - 128;
    return (int8_t)(y > 127 ? 127 : y);
}

#endif

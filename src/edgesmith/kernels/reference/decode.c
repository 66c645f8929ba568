/* decode_* in plain C: codes are read one after the other from a stream of bits. Layout: edgesmith_coded.h. */
#include <stddef.h>

#include "edgesmith_coded.h"
#include "edgesmith_math.h"

/* The bits that were read and not yet used, or the digits left of a byte. */
typedef struct {
    const uint8_t *next;
    uint32_t held;
    int32_t bits, have;
} code_stream;

static code_stream stream_of(const uint8_t *codes, int32_t bits) {
    const code_stream s = {codes, 0, bits, 0};
    return s;
}

static uint32_t next_code(code_stream *s) {
    uint32_t code;
    if (s->bits == 0) {
        if (s->have == 0) {
            s->held = *s->next++;
            s->have = 5;
        }
        code = s->held % 3u;
        s->held /= 3u;
        s->have--;
        return code;
    }
    for (; s->have < s->bits; s->have += 8) s->held |= (uint32_t)*s->next++ << s->have;
    code = s->held & ((1u << s->bits) - 1u);
    s->held >>= s->bits;
    s->have -= s->bits;
    return code;
}

void es_decode_group(const es_decode_params *p, const uint8_t *codes, const float *scales, float *y, void *scratch) {
    (void)scratch;
    code_stream s = stream_of(codes, p->bits);
    for (int32_t r = 0; r < p->runs; r++) {
        for (int32_t i = 0; i < p->run; i++) *y++ = (float)((int32_t)next_code(&s) - (1 << (p->bits - 1))) * scales[r];
    }
}

void es_decode_group_zeros(const es_decode_params *p, const uint8_t *codes, const float *scales, const uint8_t *zeros,
                           float *y, void *scratch) {
    (void)scratch;
    code_stream s = stream_of(codes, p->bits), z = stream_of(zeros, p->bits);
    for (int32_t r = 0; r < p->runs; r++) {
        const int32_t zero = (int32_t)next_code(&z);
        for (int32_t i = 0; i < p->run; i++) *y++ = (float)((int32_t)next_code(&s) - zero) * scales[r];
    }
}

void es_decode_table(const es_decode_params *p, const uint8_t *codes, const float *scales, const float *table, float *y,
                     void *scratch) {
    (void)scratch;
    code_stream s = stream_of(codes, p->bits);
    for (int32_t r = 0; r < p->runs; r++) {
        for (int32_t i = 0; i < p->run; i += p->b) {
            const int32_t code = (int32_t)next_code(&s), entry = code < p->a ? code : p->a - 1;
            for (int32_t j = 0; j < p->b; j++) *y++ = table[entry * p->b + j] * scales[r];
        }
    }
}

void es_decode_bases(const es_decode_params *p, const uint8_t *codes, const float *scales, float *y, void *scratch) {
    (void)scratch;
    code_stream s = stream_of(codes, p->bits);
    for (int32_t r = 0; r < p->runs; r++) {
        for (int32_t i = 0; i < p->run; i++) {
            const uint32_t code = next_code(&s);
            float sum = 0.0f;
            for (int32_t base = 0; base < p->a; base++) {
                const float scale = scales[base * p->runs + r];
                sum += (code >> base & 1u) != 0 ? scale : -scale;
            }
            *y++ = sum;
        }
    }
}

/* The number of a code of a sign, `a` bits of exponent and `b` of mantissa. */
static float float_of(const es_decode_params *p, uint32_t code) {
    const uint32_t magnitude = code & ((1u << (p->a + p->b)) - 1u), sign = code >> (p->a + p->b) << 31;
    const uint32_t mantissa = magnitude & ((1u << p->b) - 1u);
    const int32_t exponent = (int32_t)(magnitude >> p->b), bias = (1 << (p->a - 1)) - 1;
    if ((int32_t)magnitude >= p->numbers) return es_from_bits(sign | (mantissa == 0 ? 0x7f800000u : 0x7fc00000u));
    const uint32_t whole = exponent > 0 ? mantissa | 1u << p->b : mantissa;
    const float value = (float)whole * es_power_of_two((exponent > 1 ? exponent : 1) - bias - p->b);
    return es_from_bits(es_bits(value) | sign);
}

void es_decode_float(const es_decode_params *p, const uint8_t *codes, const float *scales, float *y, void *scratch) {
    (void)scratch;
    code_stream s = stream_of(codes, p->bits);
    for (int32_t r = 0; r < p->runs; r++) {
        for (int32_t i = 0; i < p->run; i++) *y++ = float_of(p, next_code(&s)) * scales[r];
    }
}

/* The posit of a code of `bits` bits with `a` of exponent: 2^(k 2^a + e) * 1.f. */
static float posit_of(const es_decode_params *p, uint32_t code) {
    const uint32_t top = 1u << (p->bits - 1);
    if (code == 0) return 0.0f;
    if (code == top) return es_from_bits(0x7fc00000u);
    const int negative = code > top;
    const uint32_t magnitude = negative ? 2u * top - code : code;
    const uint32_t first = magnitude >> (p->bits - 2) & 1u;
    int32_t left = p->bits - 2, run = 1; /* left: bits after those of the run */
    while (left > 0 && (magnitude >> (left - 1) & 1u) == first) {
        left--;
        run++;
    }
    if (left > 0) left--; /* the bit that ends the run */
    const int32_t given = left < p->a ? left : p->a, fraction_bits = left - given;
    const uint32_t rest = magnitude & ((1u << left) - 1u);
    const int32_t exponent = (int32_t)(rest >> fraction_bits << (p->a - given));
    const uint32_t fraction = (rest & ((1u << fraction_bits) - 1u)) | 1u << fraction_bits;
    const int32_t scale = (first != 0 ? run - 1 : -run) * (1 << p->a) + exponent;
    const float value = (float)fraction * es_power_of_two(scale - fraction_bits);
    return negative ? -value : value;
}

void es_decode_posit(const es_decode_params *p, const uint8_t *codes, const float *scales, float *y, void *scratch) {
    (void)scratch;
    code_stream s = stream_of(codes, p->bits);
    for (int32_t r = 0; r < p->runs; r++) {
        for (int32_t i = 0; i < p->run; i++) *y++ = posit_of(p, next_code(&s)) * scales[r];
    }
}

/* log_mel_s8 in plain C (docs/numbers.md, log_mel). Scratch: n_fft (real, imaginary) pairs of int32. */
#include "edgesmith_fft.h"
#include "edgesmith_fixed.h"
#include "edgesmith_sequence.h"

size_t es_log_mel_s8_scratch(const es_log_mel_s8_params *p) {
    return 2 * sizeof(int32_t) * (size_t)p->n_fft;
}

/* A windowed frame into bit-reversed order, zeros beyond its end. */
static void load(const es_log_mel_s8_params *p, const int16_t *x, const int16_t *window, int32_t *z) {
    int32_t place = 0;
    for (int32_t i = 0; i < p->n_fft; i++, place = es_next_reversed(place, p->n_fft)) {
        z[2 * place] = i < p->length ? es_rshift(x[i] * window[i], 12) : 0;
        z[2 * place + 1] = 0;
    }
}

static void butterfly(int32_t *a, int32_t *b, const int32_t *w) {
    const int32_t re = (int32_t)es_rshift64((int64_t)b[0] * w[0] - (int64_t)b[1] * w[1], 30);
    const int32_t im = (int32_t)es_rshift64((int64_t)b[0] * w[1] + (int64_t)b[1] * w[0], 30);
    b[0] = a[0] - re;
    b[1] = a[1] - im;
    a[0] += re;
    a[1] += im;
}

static void fft(int32_t *z, const int32_t *twiddle, int32_t n) {
    for (int32_t half = 1; half < n; half *= 2) {
        const int32_t step = n / (2 * half);
        for (int32_t start = 0; start < n; start += 2 * half) {
            for (int32_t k = 0; k < half; k++) {
                butterfly(z + 2 * (start + k), z + 2 * (start + k + half), twiddle + 2 * k * step);
            }
        }
    }
}

/* Weighted energy of `count` bins from z, plus one. */
static uint64_t energy(const int32_t *z, const uint16_t *weights, int32_t count) {
    uint64_t sum = 1;
    for (int32_t k = 0; k < count; k++) {
        const int64_t re = z[2 * k], im = z[2 * k + 1];
        sum += (((uint64_t)(re * re) + (uint64_t)(im * im)) >> 6) * weights[k];
    }
    return sum;
}

/* log2 in Q12 through the table of log2(1 + i / 256). */
static int32_t log2_q12(uint64_t e, const uint16_t *table) {
    const int32_t k = es_bit_length(e) - 1;
    const int32_t f = (int32_t)((k > 16 ? e >> (k - 16) : e << (16 - k)) & 0xffffu);
    const int32_t i = f >> 8;
    return (k << 12) + table[i] + (((table[i + 1] - table[i]) * (f & 255) + 128) >> 8);
}

void es_log_mel_s8(const es_log_mel_s8_params *p, const int16_t *x, const int16_t *window, const int32_t *twiddle,
                   const uint16_t *first, const uint16_t *count, const uint16_t *weights, const uint16_t *log_table,
                   int8_t *y, void *scratch) {
    int32_t *z = scratch;
    for (int32_t frame = 0; frame < p->frames; frame++, x += p->hop) {
        const uint16_t *row = weights;
        load(p, x, window, z);
        fft(z, twiddle, p->n_fft);
        for (int32_t j = 0; j < p->mels; row += count[j], j++) {
            const int32_t level = log2_q12(energy(z + 2 * first[j], row, count[j]), log_table) - 49152;
            *y++ = es_clamp8(p->y_zero + es_requant(level, p->multiplier, p->shift), p->low, p->high);
        }
    }
}

/* Order and factors of the radix-2 FFTs. */
#ifndef EDGESMITH_FFT_H
#define EDGESMITH_FFT_H

#include "edgesmith_math.h"

/* The index after i in bit-reversed order of n = 2^k. */
static inline int32_t es_next_reversed(int32_t i, int32_t n) {
    int32_t bit = n >> 1;
    while (bit > 0 && (i & bit) != 0) {
        i ^= bit;
        bit >>= 1;
    }
    return i | bit;
}

/* cos and -sin of 2 * pi * k / n for k = 0 .. n / 2 - 1, as pairs. */
static inline void es_fill_twiddles(float *twiddle, int32_t n) {
    for (int32_t k = 0; 2 * k < n; k++) {
        es_turn(k, n, &twiddle[2 * k], &twiddle[2 * k + 1]);
        twiddle[2 * k + 1] = -twiddle[2 * k + 1];
    }
}

/* Decimation in time, in place, of n (real, imaginary) pairs that lie in bit-reversed order. */
static inline void es_fft(float *z, const float *twiddle, int32_t n) {
    for (int32_t half = 1; half < n; half *= 2) {
        for (int32_t start = 0; start < n; start += 2 * half) {
            for (int32_t k = 0; k < half; k++) {
                float *a = z + 2 * (start + k), *b = a + 2 * half;
                const float *w = twiddle + 2 * (k * (n / (2 * half)));
                const float re = b[0] * w[0] - b[1] * w[1], im = b[0] * w[1] + b[1] * w[0];
                b[0] = a[0] - re;
                b[1] = a[1] - im;
                a[0] += re;
                a[1] += im;
            }
        }
    }
}

#endif

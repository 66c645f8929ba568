/* rfft in plain C: a complex radix-2 FFT of each row. Scratch: n pairs, then n / 2 twiddle pairs. */
#include "edgesmith_fft.h"
#include "edgesmith_sequence.h"

size_t es_rfft_scratch(const es_rfft_params *p) {
    return 3 * sizeof(float) * (size_t)p->n;
}

void es_rfft(const es_rfft_params *p, const float *x, float *y, void *scratch) {
    float *z = scratch, *twiddle = z + 2 * p->n;
    es_fill_twiddles(twiddle, p->n);
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n + 2) {
        int32_t place = 0;
        for (int32_t i = 0; i < p->n; i++, place = es_next_reversed(place, p->n)) {
            z[2 * place] = x[i];
            z[2 * place + 1] = 0.0f;
        }
        es_fft(z, twiddle, p->n);
        __builtin_memcpy(y, z, sizeof(float) * (size_t)(p->n + 2));
    }
}

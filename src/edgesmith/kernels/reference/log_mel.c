/* log_mel in plain C for float and int16 samples: log2(mel * |FFT(frame * window)|^2 + 2^-12). Scratch as rfft. */
#include "edgesmith_fft.h"
#include "edgesmith_sequence.h"

static size_t scratch_bytes(const es_log_mel_params *p) {
    return 3 * sizeof(float) * (size_t)p->n_fft;
}

size_t es_log_mel_f32_scratch(const es_log_mel_params *p) {
    return scratch_bytes(p);
}

size_t es_log_mel_s16_scratch(const es_log_mel_params *p) {
    return scratch_bytes(p);
}

/* Energies of the bins from their spectrum, then the logarithm of each band. */
static void bands(const es_log_mel_params *p, float *z, const float *mel, float *y) {
    const int32_t bins = p->n_fft / 2 + 1;
    for (int32_t k = 0; k < bins; k++) z[k] = z[2 * k] * z[2 * k] + z[2 * k + 1] * z[2 * k + 1];
    for (int32_t j = 0; j < p->mels; j++, mel += bins) {
        float sum = 0.0f;
        for (int32_t k = 0; k < bins; k++) sum += mel[k] * z[k];
        y[j] = es_logf(sum + 0x1p-12f) * 1.44269504f;
    }
}

#define LOG_MEL(NAME, TYPE)                                                                                    \
    void es_log_mel_##NAME(const es_log_mel_params *p, const TYPE *x, const float *window, const float *mel,   \
                           float *y, void *scratch) {                                                          \
        float *z = scratch, *twiddle = z + 2 * p->n_fft;                                                       \
        es_fill_twiddles(twiddle, p->n_fft);                                                                   \
        for (int32_t frame = 0; frame < p->frames; frame++, x += p->hop, y += p->mels) {                       \
            int32_t place = 0;                                                                                 \
            for (int32_t i = 0; i < p->n_fft; i++, place = es_next_reversed(place, p->n_fft)) {                \
                z[2 * place] = i < p->length ? (float)x[i] * window[i] : 0.0f;                                 \
                z[2 * place + 1] = 0.0f;                                                                       \
            }                                                                                                  \
            es_fft(z, twiddle, p->n_fft);                                                                      \
            bands(p, z, mel, y);                                                                               \
        }                                                                                                      \
    }

LOG_MEL(f32, float)
LOG_MEL(s16, int16_t)

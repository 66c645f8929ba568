/* Kernels over time: recurrent layers and spectra (see edgesmith_kernels.h). */
#ifndef EDGESMITH_SEQUENCE_H
#define EDGESMITH_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

/* lstm, gru. x (steps, width); states (hidden); w_ih (gates * hidden, width); w_hh (gates * hidden, hidden); biases
 * (gates * hidden); y (steps, hidden). Gates in torch's order. Final states may not share memory with initial ones. */
typedef struct {
    int32_t steps, width, hidden;
} es_recurrent_params;

void es_lstm(const es_recurrent_params *p, const float *x, const float *h0, const float *c0, const float *w_ih,
             const float *w_hh, const float *b_ih, const float *b_hh, float *y, float *h, float *c, void *scratch);
void es_gru(const es_recurrent_params *p, const float *x, const float *h0, const float *w_ih, const float *w_hh,
            const float *b_ih, const float *b_hh, float *y, float *h, void *scratch);

/* lstm_s8, gru_s8: as above on int8, with a multiplier and shift per row of each weight and 513-entry gate tables;
 * cell_bits is read by lstm_s8 only. gru_s8 needs `hidden` bytes of scratch. */
typedef struct {
    int32_t steps, width, hidden, cell_bits, h_zero, multiplier, shift, low, high;
} es_recurrent_s8_params;

void es_lstm_s8(const es_recurrent_s8_params *p, const int8_t *x, const int8_t *h0, const int16_t *c0,
                const int8_t *w_ih, const int8_t *w_hh, const int32_t *b_ih, const int32_t *b_hh,
                const int32_t *ih_multiplier, const uint8_t *ih_shift, const int32_t *hh_multiplier,
                const uint8_t *hh_shift, const int16_t *sigmoid, const int16_t *tanh, int8_t *y, int8_t *h,
                int16_t *c, void *scratch);
size_t es_gru_s8_scratch(const es_recurrent_s8_params *p);
void es_gru_s8(const es_recurrent_s8_params *p, const int8_t *x, const int16_t *h0, const int8_t *w_ih,
               const int8_t *w_hh, const int32_t *b_ih, const int32_t *b_hh, const int32_t *ih_multiplier,
               const uint8_t *ih_shift, const int32_t *hh_multiplier, const uint8_t *hh_shift, const int16_t *sigmoid,
               const int16_t *tanh, int8_t *y, int16_t *h, void *scratch);

/* rfft: rows of n reals, n a power of two, to rows of n / 2 + 1 (real, imaginary). Scratch: 12 n bytes. */
typedef struct {
    int32_t rows, n;
} es_rfft_params;

size_t es_rfft_scratch(const es_rfft_params *p);
void es_rfft(const es_rfft_params *p, const float *x, float *y, void *scratch);

/* log_mel: frames of `length` samples every `hop`, FFT of n_fft. window (length); mel (mels, n_fft / 2 + 1).
 * Scratch: 12 n_fft bytes. */
typedef struct {
    int32_t frames, length, hop, n_fft, mels;
} es_log_mel_params;

size_t es_log_mel_f32_scratch(const es_log_mel_params *p);
size_t es_log_mel_s16_scratch(const es_log_mel_params *p);
void es_log_mel_f32(const es_log_mel_params *p, const float *x, const float *window, const float *mel, float *y,
                    void *scratch);
void es_log_mel_s16(const es_log_mel_params *p, const int16_t *x, const float *window, const float *mel, float *y,
                    void *scratch);

/* log_mel_s8: the same in integers (docs/numbers.md). Scratch: 8 n_fft bytes. */
typedef struct {
    int32_t frames, length, hop, n_fft, mels, multiplier, shift, y_zero, low, high;
} es_log_mel_s8_params;

size_t es_log_mel_s8_scratch(const es_log_mel_s8_params *p);
void es_log_mel_s8(const es_log_mel_s8_params *p, const int16_t *x, const int16_t *window, const int32_t *twiddle,
                   const uint16_t *first, const uint16_t *count, const uint16_t *weights, const uint16_t *log_table,
                   int8_t *y, void *scratch);

#endif

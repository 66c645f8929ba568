/* avg_pool2d_s8 for Cortex-M: four channels at a time, summed as int16 pairs by SXTAB16. Bit-equal to reference/. */
#include "cortex_m_pool.h"
#include "cortex_m_requant.h"

enum { CHANNELS = 4 };

/* Sums of the n channels at `from`. */
static ES_COMPACT void sum_each(const es_pool_window *w, const int8_t *from, int32_t n, int32_t *sums) {
    for (int32_t i = 0; i < n; i++) sums[i] = 0;
    for (int32_t row = 0; row < w->rows; row++) {
        const int8_t *x = from + row * w->row_step;
        for (int32_t column = 0; column < w->columns; column++, x += w->column_step) {
            for (int32_t i = 0; i < n; i++) sums[i] += x[i];
        }
    }
}

#if defined(__ARM_FEATURE_DSP)

/* Adds the halves of two words of sums, channels (0,2) and (1,3). */
static inline void flush(int32_t even, int32_t odd, int32_t *sums) {
    sums[0] += (int16_t)even;
    sums[1] += (int16_t)odd;
    sums[2] += even >> 16;
    sums[3] += odd >> 16;
}

static __attribute__((noinline)) void sum_four(const es_pool_window *w, const int8_t *from, int32_t *sums) {
    int32_t even = 0, odd = 0, room = 255; /* cells until a half could overflow: 255 * 128 < 2^15 */
    for (int32_t i = 0; i < CHANNELS; i++) sums[i] = 0;
    for (int32_t row = 0; row < w->rows; row++) {
        const int8_t *x = from + row * w->row_step;
        for (int32_t column = 0; column < w->columns; column++, x += w->column_step) {
            uint32_t v;
            __builtin_memcpy(&v, x, 4);
            even = __sxtab16(even, (int32_t)v);
            odd = __sxtab16(odd, (int32_t)(v >> 8 | v << 24));
            if (--room == 0) {
                flush(even, odd, sums);
                even = odd = 0;
                room = 255;
            }
        }
    }
    flush(even, odd, sums);
}

#else

static void sum_four(const es_pool_window *w, const int8_t *from, int32_t *sums) { sum_each(w, from, CHANNELS, sums); }

#endif

ES_COMPACT void es_avg_pool2d_s8(const es_pool2d_params *p, const int8_t *x, const int32_t *multiplier,
                                 const uint8_t *shift, int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++, y += p->channels) {
            const int32_t iy = oy * p->stride_h - p->pad_top, ix = ox * p->stride_w - p->pad_left;
            const es_pool_window w = es_pool_window_of(p, iy, ix);
            const int32_t cells = w.rows * w.columns, zero = cells * p->x_zero;
            const int32_t entry = (p->count_all ? p->kernel_h * p->kernel_w : cells) - 1;
            for (int32_t c = 0; c < p->channels; c += CHANNELS) {
                const int32_t n = p->channels - c < CHANNELS ? p->channels - c : CHANNELS;
                int32_t sums[CHANNELS];
                if (n == CHANNELS) {
                    sum_four(&w, x + w.first + c, sums);
                } else {
                    sum_each(&w, x + w.first + c, n, sums);
                }
                for (int32_t i = 0; i < n; i++) {
                    const int64_t mean = es_requant(sums[i] - zero, multiplier[entry], shift[entry]);
                    y[c + i] = es_clamp8(p->y_zero + mean, p->low, p->high);
                }
            }
        }
    }
}

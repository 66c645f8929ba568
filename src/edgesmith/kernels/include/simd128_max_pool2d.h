/* max_pool2d for each element type, channels innermost, so that the compiler takes vectors: a row of outputs starts as
 * the first cell inside x and takes in the others one by one. */
#include "edgesmith_float.h"
#include "edgesmith_integer.h"

#define POOL(NAME, TYPE)                                                                                     \
    static void larger_##NAME(TYPE *restrict y, const TYPE *restrict x, int32_t n) {                         \
        for (int32_t c = 0; c < n; c++) y[c] = x[c] > y[c] || x[c] != x[c] ? x[c] : y[c]; /* a NaN wins */   \
    }                                                                                                        \
    static void window_##NAME(const es_pool2d_params *p, const TYPE *x, int32_t y0, int32_t x0, TYPE *y) {   \
        int found = 0;                                                                                       \
        for (int32_t ky = 0; ky < p->kernel_h; ky++) {                                                       \
            const int32_t iy = y0 + ky * p->dilation_h;                                                      \
            if (iy < 0 || iy >= p->in_h) continue;                                                           \
            for (int32_t kx = 0; kx < p->kernel_w; kx++) {                                                   \
                const int32_t ix = x0 + kx * p->dilation_w;                                                  \
                if (ix < 0 || ix >= p->in_w) continue;                                                       \
                const TYPE *cell = x + (iy * p->in_w + ix) * p->channels;                                    \
                if (found) {                                                                                 \
                    larger_##NAME(y, cell, p->channels);                                                     \
                } else {                                                                                     \
                    __builtin_memcpy(y, cell, (size_t)p->channels * sizeof(TYPE));                           \
                }                                                                                            \
                found = 1;                                                                                   \
            }                                                                                                \
        }                                                                                                    \
    }                                                                                                        \
    void es_max_pool2d_##NAME(const es_pool2d_params *p, const TYPE *x, TYPE *y, void *scratch) {            \
        (void)scratch;                                                                                       \
        for (int32_t oy = 0; oy < p->out_h; oy++) {                                                          \
            for (int32_t ox = 0; ox < p->out_w; ox++, y += p->channels) {                                    \
                const int32_t y0 = oy * p->stride_h - p->pad_top, x0 = ox * p->stride_w - p->pad_left;       \
                window_##NAME(p, x, y0, x0, y);                                                              \
            }                                                                                                \
        }                                                                                                    \
    }

POOL(f32, float)
POOL(s8, int8_t)
POOL(u8, uint8_t)
POOL(s16, int16_t)
POOL(s32, int32_t)

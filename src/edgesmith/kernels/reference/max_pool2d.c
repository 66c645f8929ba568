/* max_pool2d in plain C for each element type: the largest cell of each window inside x; every window has one. */
#include "edgesmith_float.h"
#include "edgesmith_integer.h"

#define WINDOW(NAME, TYPE)                                                                                   \
    static TYPE window_##NAME(const es_pool2d_params *p, const TYPE *x, int32_t y0, int32_t x0) {            \
        TYPE best = 0;                                                                                       \
        int found = 0;                                                                                       \
        for (int32_t ky = 0; ky < p->kernel_h; ky++) {                                                       \
            const int32_t iy = y0 + ky * p->dilation_h;                                                      \
            if (iy < 0 || iy >= p->in_h) continue;                                                           \
            for (int32_t kx = 0; kx < p->kernel_w; kx++) {                                                   \
                const int32_t ix = x0 + kx * p->dilation_w;                                                  \
                if (ix < 0 || ix >= p->in_w) continue;                                                       \
                const TYPE cell = x[(iy * p->in_w + ix) * p->channels];                                      \
                best = !found || cell > best || cell != cell ? cell : best; /* a NaN wins, as in numpy */    \
                found = 1;                                                                                   \
            }                                                                                                \
        }                                                                                                    \
        return best;                                                                                         \
    }

#define POOL(NAME, TYPE)                                                                                     \
    WINDOW(NAME, TYPE)                                                                                       \
    void es_max_pool2d_##NAME(const es_pool2d_params *p, const TYPE *x, TYPE *y, void *scratch) {            \
        (void)scratch;                                                                                       \
        for (int32_t oy = 0; oy < p->out_h; oy++) {                                                          \
            for (int32_t ox = 0; ox < p->out_w; ox++) {                                                      \
                const int32_t y0 = oy * p->stride_h - p->pad_top, x0 = ox * p->stride_w - p->pad_left;       \
                for (int32_t c = 0; c < p->channels; c++) *y++ = window_##NAME(p, x + c, y0, x0);            \
            }                                                                                                \
        }                                                                                                    \
    }

POOL(f32, float)
POOL(s8, int8_t)
POOL(u8, uint8_t)
POOL(s16, int16_t)
POOL(s32, int32_t)

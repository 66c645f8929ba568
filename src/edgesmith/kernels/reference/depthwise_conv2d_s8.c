/* conv2d_s8 with groups = in_c, in plain C: the oracle. w is (kernel_h, kernel_w, out_c); output channel o reads input
 * channel o / (out_c / in_c). Shapes: edgesmith_integer.h; arithmetic: docs/numbers.md. */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

size_t es_depthwise_conv2d_s8_scratch(const es_conv2d_s8_params *p) {
    (void)p;
    return 0;
}

/* Sum over the window whose first cell is (y0, x0), for output channel o. */
static uint32_t window(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, int32_t y0, int32_t x0,
                       int32_t o) {
    const int32_t c = o / (p->out_c / p->in_c);
    uint32_t sum = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = y0 + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; kx++) {
            const int32_t ix = x0 + kx * p->dilation_w;
            const int inside = iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w;
            const int32_t cell = inside ? x[(iy * p->in_w + ix) * p->in_c + c] : p->x_zero;
            sum += (uint32_t)(cell * w[(ky * p->kernel_w + kx) * p->out_c + o]);
        }
    }
    return sum;
}

void es_depthwise_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            const int32_t y0 = oy * p->stride_h - p->pad_top, x0 = ox * p->stride_w - p->pad_left;
            for (int32_t o = 0; o < p->out_c; o++) {
                const int32_t acc = es_signed((uint32_t)b[o] + window(p, x, w, y0, x0, o));
                *y++ = es_clamp8(p->y_zero + es_requant(acc, multiplier[o], shift[o]), p->low, p->high);
            }
        }
    }
}

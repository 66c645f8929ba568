/* conv_transpose2d_s8 in plain C: each output cell gathers the taps that reach it. Shapes: edgesmith_integer.h;
 * arithmetic: docs/numbers.md. */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

/* The input index whose tap k lands on output cell `out`, or -1. */
static int32_t source(int32_t out, int32_t pad, int32_t tap, int32_t stride, int32_t size) {
    const int32_t place = out + pad - tap;
    return place >= 0 && place % stride == 0 && place / stride < size ? place / stride : -1;
}

static uint32_t gather(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, int32_t oy, int32_t ox) {
    const int32_t n = p->in_c / p->groups;
    uint32_t sum = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = source(oy, p->pad_top, ky * p->dilation_h, p->stride_h, p->in_h);
        for (int32_t kx = 0; kx < p->kernel_w; kx++, w += n) {
            const int32_t ix = source(ox, p->pad_left, kx * p->dilation_w, p->stride_w, p->in_w);
            if (iy < 0 || ix < 0) continue;
            const int8_t *cell = x + (iy * p->in_w + ix) * p->in_c;
            for (int32_t c = 0; c < n; c++) sum += (uint32_t)((cell[c] - p->x_zero) * w[c]);
        }
    }
    return sum;
}

void es_conv_transpose2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const int32_t in_per = p->in_c / p->groups, out_per = p->out_c / p->groups;
    const int32_t taps = p->kernel_h * p->kernel_w * in_per;
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            for (int32_t o = 0; o < p->out_c; o++) {
                const uint32_t sum = gather(p, x + o / out_per * in_per, w + o * taps, oy, ox);
                const int32_t acc = es_signed((uint32_t)b[o] + sum);
                *y++ = es_clamp8(p->y_zero + es_requant(acc, multiplier[o], shift[o]), p->low, p->high);
            }
        }
    }
}

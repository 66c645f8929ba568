/* conv_transpose2d in plain C, float: each output cell gathers the taps that reach it. Shapes: edgesmith_float.h. */
#include "edgesmith_float.h"

/* The input index whose tap lands on output cell `out`, or -1. */
static int32_t source(int32_t out, int32_t pad, int32_t tap, int32_t stride, int32_t size) {
    const int32_t place = out + pad - tap;
    return place >= 0 && place % stride == 0 && place / stride < size ? place / stride : -1;
}

static float gather(const es_conv2d_params *p, const float *x, const float *w, int32_t oy, int32_t ox, float start) {
    const int32_t n = p->in_c / p->groups;
    float sum = start;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = source(oy, p->pad_top, ky * p->dilation_h, p->stride_h, p->in_h);
        for (int32_t kx = 0; kx < p->kernel_w; kx++, w += n) {
            const int32_t ix = source(ox, p->pad_left, kx * p->dilation_w, p->stride_w, p->in_w);
            if (iy < 0 || ix < 0) continue;
            const float *cell = x + (iy * p->in_w + ix) * p->in_c;
            for (int32_t c = 0; c < n; c++) sum += cell[c] * w[c];
        }
    }
    return sum;
}

void es_conv_transpose2d(const es_conv2d_params *p, const float *x, const float *w, const float *b, float *y,
                         void *scratch) {
    const int32_t in_per = p->in_c / p->groups, out_per = p->out_c / p->groups;
    const int32_t taps = p->kernel_h * p->kernel_w * in_per;
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            for (int32_t o = 0; o < p->out_c; o++) {
                const float sum = gather(p, x + o / out_per * in_per, w + o * taps, oy, ox, b[o]);
                *y++ = es_clamp_float(sum, p->low, p->high);
            }
        }
    }
}

/* conv2d in plain C, float. Shapes and layout: edgesmith_float.h. */
#include "edgesmith_float.h"

/* Start plus the sum over the window whose first cell is (y0, x0), for weights w of one output channel. */
static float window(const es_conv2d_params *p, const float *x, const float *w, int32_t y0, int32_t x0, float start) {
    const int32_t n = p->in_c / p->groups;
    float sum = start;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = y0 + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; kx++, w += n) {
            const int32_t ix = x0 + kx * p->dilation_w;
            if (iy < 0 || iy >= p->in_h || ix < 0 || ix >= p->in_w) continue;
            const float *cell = x + (iy * p->in_w + ix) * p->in_c;
            for (int32_t c = 0; c < n; c++) sum += cell[c] * w[c];
        }
    }
    return sum;
}

void es_conv2d(const es_conv2d_params *p, const float *x, const float *w, const float *b, float *y, void *scratch) {
    const int32_t in_per = p->in_c / p->groups, out_per = p->out_c / p->groups;
    const int32_t taps = p->kernel_h * p->kernel_w * in_per;
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            const int32_t y0 = oy * p->stride_h - p->pad_top, x0 = ox * p->stride_w - p->pad_left;
            for (int32_t o = 0; o < p->out_c; o++) {
                const float sum = window(p, x + o / out_per * in_per, w + o * taps, y0, x0, b[o]);
                *y++ = es_clamp_float(sum, p->low, p->high);
            }
        }
    }
}

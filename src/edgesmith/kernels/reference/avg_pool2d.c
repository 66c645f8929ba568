/* avg_pool2d in plain C, float. */
#include "edgesmith_float.h"

/* Mean of one channel over the window whose first cell is (y0, x0). */
static float window(const es_pool2d_params *p, const float *x, int32_t y0, int32_t x0) {
    float sum = 0.0f;
    int32_t cells = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = y0 + ky * p->dilation_h;
        if (iy < 0 || iy >= p->in_h) continue;
        for (int32_t kx = 0; kx < p->kernel_w; kx++) {
            const int32_t ix = x0 + kx * p->dilation_w;
            if (ix < 0 || ix >= p->in_w) continue;
            sum += x[(iy * p->in_w + ix) * p->channels];
            cells += 1;
        }
    }
    return sum / (float)(p->count_all ? p->kernel_h * p->kernel_w : cells);
}

void es_avg_pool2d(const es_pool2d_params *p, const float *x, float *y, void *scratch) {
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            const int32_t y0 = oy * p->stride_h - p->pad_top, x0 = ox * p->stride_w - p->pad_left;
            for (int32_t c = 0; c < p->channels; c++) *y++ = window(p, x + c, y0, x0);
        }
    }
}

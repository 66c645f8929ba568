/* avg_pool2d_s8 in plain C: one multiplier per number of counted cells (docs/numbers.md). */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

/* Sum of channel c over the cells of the window inside x; their number goes into *cells. */
static int32_t window(const es_pool2d_params *p, const int8_t *x, int32_t y0, int32_t x0, int32_t *cells) {
    int32_t sum = 0;
    *cells = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = y0 + ky * p->dilation_h;
        if (iy < 0 || iy >= p->in_h) continue;
        for (int32_t kx = 0; kx < p->kernel_w; kx++) {
            const int32_t ix = x0 + kx * p->dilation_w;
            if (ix < 0 || ix >= p->in_w) continue;
            sum += x[(iy * p->in_w + ix) * p->channels] - p->x_zero;
            *cells += 1;
        }
    }
    return sum;
}

void es_avg_pool2d_s8(const es_pool2d_params *p, const int8_t *x, const int32_t *multiplier, const uint8_t *shift,
                      int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            const int32_t y0 = oy * p->stride_h - p->pad_top, x0 = ox * p->stride_w - p->pad_left;
            for (int32_t c = 0; c < p->channels; c++) {
                int32_t cells;
                const int32_t sum = window(p, x + c, y0, x0, &cells);
                const int32_t entry = (p->count_all ? p->kernel_h * p->kernel_w : cells) - 1;
                *y++ = es_clamp8(p->y_zero + es_requant(sum, multiplier[entry], shift[entry]), p->low, p->high);
            }
        }
    }
}

/* conv2d_s8 on vectors of 128 bits, for the lanes included before: windows as rows, then products (simd128_product.h
 * tells how the weights are packed, group by group).
 * Scratch: ES_ROWS windows; none where a window is one cell that can be read in place. */
#include "edgesmith_integer.h"
#include "simd128_product.h"

static int32_t window_bytes(const es_conv2d_s8_params *p) {
    return p->kernel_h * p->kernel_w * (p->in_c / p->groups);
}

/* Whether every window is one cell inside x, of whole eights. */
static int in_place(const es_conv2d_s8_params *p) {
    const int inside = (p->out_h - 1) * p->stride_h < p->in_h && (p->out_w - 1) * p->stride_w < p->in_w;
    const int unpadded = p->pad_top == 0 && p->pad_left == 0 && inside;
    return p->kernel_h == 1 && p->kernel_w == 1 && unpadded && p->in_c / p->groups % 8 == 0;
}

size_t es_conv2d_s8_scratch(const es_conv2d_s8_params *p) {
    return in_place(p) ? 0 : (size_t)(ES_ROWS * es_eights(window_bytes(p)));
}

/* One row of kernel cells into `to`, n channels of each; cells outside x are x_zero. */
static void copy_run(const es_conv2d_s8_params *p, const int8_t *x, int32_t iy, int32_t x0, int32_t n, int8_t *to) {
    const int outside = iy < 0 || iy >= p->in_h;
    const int whole = n == p->in_c && p->dilation_w == 1 && x0 >= 0 && x0 + p->kernel_w <= p->in_w;
    if (outside) {
        es_fill(to, p->x_zero, p->kernel_w * n);
    } else if (whole) {
        es_copy(to, x + (iy * p->in_w + x0) * p->in_c, p->kernel_w * n);
    } else {
        for (int32_t kx = 0; kx < p->kernel_w; kx++, to += n) {
            const int32_t ix = x0 + kx * p->dilation_w;
            if (ix < 0 || ix >= p->in_w) {
                es_fill(to, p->x_zero, n);
            } else {
                es_copy(to, x + (iy * p->in_w + ix) * p->in_c, n);
            }
        }
    }
}

/* The window whose first cell is (y0, x0) as one row: in place, or gathered into `to` and filled up with zeros. */
static const int8_t *window(const es_conv2d_s8_params *p, const int8_t *x, int32_t y0, int32_t x0, int8_t *to) {
    const int32_t n = p->in_c / p->groups, length = window_bytes(p);
    if (to == NULL) return x + (y0 * p->in_w + x0) * p->in_c;
    if (es_all_inside(p, y0, x0) && p->dilation_w == 1 && n == p->in_c) { /* most windows: runs at a fixed distance */
        const int32_t run = p->kernel_w * n, step = p->dilation_h * p->in_w * n;
        const int8_t *from = x + (y0 * p->in_w + x0) * n;
        for (int32_t ky = 0; ky < p->kernel_h; ky++, from += ky < p->kernel_h ? step : 0) {
            es_copy(to + ky * run, from, run);
        }
    } else {
        for (int32_t ky = 0; ky < p->kernel_h; ky++) {
            copy_run(p, x, y0 + ky * p->dilation_h, x0, n, to + ky * p->kernel_w * n);
        }
    }
    for (int32_t i = length; i < es_eights(length); i++) to[i] = 0;
    return to;
}

static void convolve(const es_conv2d_s8_params *p, const es_product *product, const int8_t *x, int8_t *y,
                     int8_t *scratch) {
    const int32_t cells = p->out_h * p->out_w;
    int32_t oy = 0, ox = 0;
    for (int32_t cell = 0; cell < cells; cell += ES_ROWS) {
        const int32_t rows = cells - cell < ES_ROWS ? cells - cell : ES_ROWS;
        const int8_t *from[ES_ROWS];
        int8_t *to[ES_ROWS];
        for (int32_t r = 0; r < rows; r++) {
            int8_t *row = scratch == NULL ? NULL : scratch + r * product->k;
            from[r] = window(p, x, oy * p->stride_h - p->pad_top, ox * p->stride_w - p->pad_left, row);
            to[r] = y + (cell + r) * p->out_c;
            if (++ox == p->out_w) {
                ox = 0;
                oy++;
            }
        }
        for (int32_t r = rows; r < ES_ROWS; r++) {
            from[r] = from[rows - 1];
            to[r] = to[rows - 1];
        }
        es_multiply(product, from, to, rows);
    }
}

void es_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const int32_t in_per = p->in_c / p->groups, out_per = p->out_c / p->groups, k = window_bytes(p);
    int8_t *rows = in_place(p) ? NULL : scratch;
    for (int32_t group = 0; group < p->groups; group++, w += es_packed_bytes(out_per, k)) {
        const int32_t o = group * out_per;
        const es_product product = {w,           b + o,  multiplier + o, shift + o, out_per, es_eights(k),
                                    p->y_zero, p->low, p->high};
        convolve(p, &product, x + group * in_per, y + o, rows);
    }
}

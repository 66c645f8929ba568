/* conv2d_s8 on x86: windows as rows, then products (x86_tile.h tells how the weights are packed, group by group).
 * Scratch: ES_X86_ROWS windows; none where a window is one cell that can be read in place. */
#include "edgesmith_integer.h"
#include "x86_tile.h"

static int32_t window_bytes(const es_conv2d_s8_params *p) {
    return p->kernel_h * p->kernel_w * (p->in_c / p->groups);
}

/* Whether every window is one cell inside x, of whole fours. */
static int in_place(const es_conv2d_s8_params *p) {
    const int inside = (p->out_h - 1) * p->stride_h < p->in_h && (p->out_w - 1) * p->stride_w < p->in_w;
    const int unpadded = p->pad_top == 0 && p->pad_left == 0 && inside;
    return p->kernel_h == 1 && p->kernel_w == 1 && unpadded && p->in_c / p->groups % 4 == 0;
}

size_t es_conv2d_s8_scratch(const es_conv2d_s8_params *p) {
    return in_place(p) ? 0 : (size_t)(ES_X86_ROWS * 4 * es_x86_fours(window_bytes(p)));
}

/* One row of kernel cells into `to`; cells outside x are x_zero. n channels of each. */
static void copy_run(const es_conv2d_s8_params *p, const int8_t *x, int32_t iy, int32_t x0, int32_t n, int8_t *to) {
    const int outside = iy < 0 || iy >= p->in_h;
    const int whole = n == p->in_c && p->dilation_w == 1 && x0 >= 0 && x0 + p->kernel_w <= p->in_w;
    if (outside) {
        __builtin_memset(to, p->x_zero, (size_t)(p->kernel_w * n));
    } else if (whole) {
        __builtin_memcpy(to, x + (iy * p->in_w + x0) * p->in_c, (size_t)(p->kernel_w * n));
    } else {
        for (int32_t kx = 0; kx < p->kernel_w; kx++, to += n) {
            const int32_t ix = x0 + kx * p->dilation_w;
            if (ix < 0 || ix >= p->in_w) {
                __builtin_memset(to, p->x_zero, (size_t)n);
            } else {
                __builtin_memcpy(to, x + (iy * p->in_w + ix) * p->in_c, (size_t)n);
            }
        }
    }
}

/* The window of output pixel `cell` as one row: in place, or gathered into `to` and filled up with zeros. */
static const int8_t *window(const es_conv2d_s8_params *p, const int8_t *x, int32_t cell, int8_t *to) {
    const int32_t n = p->in_c / p->groups, length = window_bytes(p);
    const int32_t y0 = cell / p->out_w * p->stride_h - p->pad_top, x0 = cell % p->out_w * p->stride_w - p->pad_left;
    if (to == NULL) return x + (y0 * p->in_w + x0) * p->in_c;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        copy_run(p, x, y0 + ky * p->dilation_h, x0, n, to + ky * p->kernel_w * n);
    }
    __builtin_memset(to + length, 0, (size_t)(4 * es_x86_fours(length) - length));
    return to;
}

static void convolve(const es_conv2d_s8_params *p, const es_x86_product *product, const int8_t *x, int8_t *y,
                     int8_t *scratch) {
    const int32_t cells = p->out_h * p->out_w;
    for (int32_t cell = 0; cell < cells; cell += ES_X86_ROWS) {
        const int32_t rows = cells - cell < ES_X86_ROWS ? cells - cell : ES_X86_ROWS;
        const int8_t *from[ES_X86_ROWS];
        int8_t *to[ES_X86_ROWS];
        for (int32_t r = 0; r < rows; r++) {
            from[r] = window(p, x, cell + r, scratch == NULL ? NULL : scratch + r * 4 * product->fours);
            to[r] = y + (cell + r) * p->out_c;
        }
        for (int32_t r = rows; r < ES_X86_ROWS; r++) {
            from[r] = from[rows - 1];
            to[r] = to[rows - 1];
        }
        es_x86_multiply(product, from, to, rows);
    }
}

void es_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const int32_t in_per = p->in_c / p->groups, out_per = p->out_c / p->groups;
    const int32_t fours = es_x86_fours(window_bytes(p));
    const size_t group_bytes = (size_t)((out_per + ES_X86_LANES - 1) / ES_X86_LANES) * (size_t)fours * 64;
    const uint8_t *weights = (const uint8_t *)w;
    int8_t *rows = in_place(p) ? NULL : scratch;
    for (int32_t group = 0; group < p->groups; group++, weights += group_bytes) {
        const int32_t o = group * out_per;
        const es_x86_product product = {weights, b + o,     multiplier + o, shift + o, out_per,
                                        fours,   p->y_zero, p->low,         p->high};
        convolve(p, &product, x + group * in_per, y + o, rows);
    }
}

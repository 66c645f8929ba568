/* conv2d_s8 with groups = in_c on x86: w is (kernel_h, kernel_w, out_c). Two products of int8 fit 16 bits together, so
 * taps go in pairs; the compiler turns the loops over LANES channels into vectors.
 * Scratch: a pointer to the cell under each tap, and a cell of x_zero for taps outside x. */
#include "edgesmith_integer.h"
#include "x86_tile.h"

#define LANES ES_X86_LANES

size_t es_depthwise_conv2d_s8_scratch(const es_conv2d_s8_params *p) {
    return 8 * (size_t)(p->kernel_h * p->kernel_w) + (size_t)p->in_c;
}

/* The input cells under all taps of the window whose first cell is (y0, x0). */
static void find_cells(const es_conv2d_s8_params *p, const int8_t *x, int32_t y0, int32_t x0, const int8_t *outside,
                       const int8_t **cells) {
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = y0 + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; kx++) {
            const int32_t ix = x0 + kx * p->dilation_w;
            const int inside = iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w;
            *cells++ = inside ? x + (iy * p->in_w + ix) * p->in_c : outside;
        }
    }
}

/* Sums of LANES channels from c on, one output channel to each input channel. */
static void sum_lanes(const int8_t *const *cells, const int8_t *w, int32_t taps, int32_t channels, int32_t c, int32_t *sum) {
    int32_t acc[LANES] = {0};
    int32_t t = 0;
    for (w += c; t + 1 < taps; t += 2, w += 2 * channels) {
        const int8_t *a = cells[t] + c, *b = cells[t + 1] + c;
        for (int32_t i = 0; i < LANES; i++) acc[i] += (int16_t)(a[i] * w[i] + b[i] * w[channels + i]);
    }
    if (t < taps) {
        const int8_t *a = cells[t] + c;
        for (int32_t i = 0; i < LANES; i++) acc[i] += (int16_t)(a[i] * w[i]);
    }
    __builtin_memcpy(sum, acc, sizeof acc);
}

/* Sums of `count` output channels from o on, `each` to an input channel. */
static void sum_some(const int8_t *const *cells, const int8_t *w, int32_t taps, int32_t channels, int32_t o, int32_t count,
                     int32_t each, int32_t *sum) {
    for (int32_t i = 0; i < count; i++) {
        const int32_t c = (o + i) / each;
        uint32_t acc = 0;
        for (int32_t t = 0; t < taps; t++) acc += (uint32_t)(cells[t][c] * w[t * channels + o + i]);
        sum[i] = es_signed(acc);
    }
}

void es_depthwise_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const es_x86_product product = {NULL, b, multiplier, shift, p->out_c, 0, p->y_zero, p->low, p->high};
    const int32_t taps = p->kernel_h * p->kernel_w, each = p->out_c / p->in_c, cells = p->out_h * p->out_w;
    const int8_t **under = scratch;
    int8_t *outside = (int8_t *)scratch + 8 * taps;
    __builtin_memset(outside, p->x_zero, (size_t)p->in_c);
    for (int32_t cell = 0; cell < cells; cell++, y += p->out_c) {
        const int32_t y0 = cell / p->out_w * p->stride_h - p->pad_top, x0 = cell % p->out_w * p->stride_w - p->pad_left;
        find_cells(p, x, y0, x0, outside, under);
        for (int32_t o = 0; o < p->out_c; o += LANES) {
            const int32_t count = p->out_c - o < LANES ? p->out_c - o : LANES;
            int32_t sum[LANES];
            if (count == LANES && each == 1) {
                sum_lanes(under, w, taps, p->out_c, o, sum);
            } else {
                sum_some(under, w, taps, p->out_c, o, count, each, sum);
            }
            es_x86_finish(&product, sum, o, count, y + o);
        }
    }
}

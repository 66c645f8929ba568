/* conv2d_s8 with groups = in_c on vectors of 128 bits, for the lanes included before: w is (kernel_h, kernel_w, out_c),
 * output channel o reads input channel o / (out_c / in_c). Two products of int8 fit 16 bits together, so taps go in pairs;
 * 16 channels go together, then 8, of which the last may be done twice.
 * Scratch: for ES_ROWS windows a pointer to the cell under each tap, and a cell of x_zero for taps outside x. */
#include "edgesmith_integer.h"
#include "simd128_product.h"

size_t es_depthwise_conv2d_s8_scratch(const es_conv2d_s8_params *p) {
    return sizeof(int8_t *) * (size_t)(ES_ROWS * p->kernel_h * p->kernel_w) + (size_t)p->in_c;
}

/* The input cells under all taps of the window whose first cell is (y0, x0). */
static void find_cells(const es_conv2d_s8_params *p, const int8_t *x, int32_t y0, int32_t x0, const int8_t *outside,
                       const int8_t **cells) {
    if (es_all_inside(p, y0, x0)) {
        const int32_t step = p->dilation_w * p->in_c;
        int32_t row = (y0 * p->in_w + x0) * p->in_c;
        for (int32_t ky = 0; ky < p->kernel_h; ky++, row += p->dilation_h * p->in_w * p->in_c) {
            for (int32_t kx = 0; kx < p->kernel_w; kx++) *cells++ = x + row + kx * step;
        }
        return;
    }
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = y0 + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; kx++) {
            const int32_t ix = x0 + kx * p->dilation_w;
            const int inside = iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w;
            *cells++ = inside ? x + (iy * p->in_w + ix) * p->in_c : outside;
        }
    }
}

/* y of `vectors` x 4 channels from c on, of one window. */
static inline __attribute__((always_inline)) void finish(const es_product *g, const es_scale *scale,
                                                         const int8_t *const *cells, const int8_t *w, int32_t taps,
                                                         int32_t c, int8_t *y, const int32_t vectors) {
    es_lanes acc[4];
    int32_t t = 0;
    for (int32_t i = 0; i < 4; i++) acc[i] = es_splat(0);
    for (w += c; t + 1 < taps; t += 2, w += 2 * g->channels) {
        if (vectors == 4) {
            es_taps16(acc, cells[t] + c, w, cells[t + 1] + c, w + g->channels);
        } else {
            es_taps8(acc, cells[t] + c, w, cells[t + 1] + c, w + g->channels);
        }
    }
    if (t < taps) {
        if (vectors == 4) {
            es_taps16(acc, cells[t] + c, w, NULL, NULL);
        } else {
            es_taps8(acc, cells[t] + c, w, NULL, NULL);
        }
    }
    for (int32_t i = 0; i < vectors; i++) acc[i] = es_requantize(&scale[i], acc[i]);
    if (vectors == 4) {
        es_narrow_store(acc, g->y_zero, g->low, g->high, y + c);
    } else {
        int32_t words[4];
        es_narrow_words(acc, g->y_zero, g->low, g->high, words);
        __builtin_memcpy(y + c, words, 8);
    }
}

/* y of the channels from c on, `vectors` x 4 of them, of all windows. */
static inline __attribute__((always_inline)) void finish_windows(const es_product *g, const int8_t *const *cells,
                                                                 int32_t taps, int32_t c, int8_t *y, int32_t rows,
                                                                 const int32_t vectors) {
    es_scale scale[4];
    for (int32_t i = 0; i < vectors; i++) scale[i] = es_scale_at(g, c + 4 * i, 4);
    for (int32_t r = 0; r < rows; r++) finish(g, scale, cells + r * taps, g->w, taps, c, y + r * g->channels, vectors);
}

/* One output after the other: fewer than 8 channels, or several outputs to an input channel. */
static void finish_each(const es_product *g, const int8_t *const *cells, int32_t taps, int32_t each, int8_t *y) {
    for (int32_t o = 0; o < g->channels; o++) {
        uint32_t acc = (uint32_t)g->b[o];
        for (int32_t t = 0; t < taps; t++) acc += (uint32_t)(cells[t][o / each] * g->w[t * g->channels + o]);
        y[o] = es_clamp8(g->y_zero + es_requant(es_signed(acc), g->multiplier[o], g->shift[o]), g->low, g->high);
    }
}

static void finish_all(const es_product *g, const int8_t *const *cells, int32_t taps, int32_t each, int8_t *y,
                       int32_t rows) {
    int32_t c = 0;
    if (each != 1 || g->channels < 8) {
        for (int32_t r = 0; r < rows; r++) finish_each(g, cells + r * taps, taps, each, y + r * g->channels);
        return;
    }
    for (; c + 16 <= g->channels; c += 16) finish_windows(g, cells, taps, c, y, rows, 4);
    for (; c < g->channels; c += 8) {
        const int32_t last = g->channels - 8;
        finish_windows(g, cells, taps, c < last ? c : last, y, rows, 2);
    }
}

void es_depthwise_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const es_product product = {w, b, multiplier, shift, p->out_c, 0, p->y_zero, p->low, p->high};
    const int32_t taps = p->kernel_h * p->kernel_w, cells = p->out_h * p->out_w;
    const int8_t **under = scratch;
    int8_t *outside = (int8_t *)(under + ES_ROWS * taps);
    int32_t oy = 0, ox = 0;
    es_fill(outside, p->x_zero, p->in_c);
    for (int32_t cell = 0; cell < cells; cell += ES_ROWS) {
        const int32_t rows = cells - cell < ES_ROWS ? cells - cell : ES_ROWS;
        for (int32_t r = 0; r < rows; r++) {
            find_cells(p, x, oy * p->stride_h - p->pad_top, ox * p->stride_w - p->pad_left, outside, under + r * taps);
            if (++ox == p->out_w) {
                ox = 0;
                oy++;
            }
        }
        finish_all(&product, under, taps, p->out_c / p->in_c, y + cell * p->out_c, rows);
    }
}

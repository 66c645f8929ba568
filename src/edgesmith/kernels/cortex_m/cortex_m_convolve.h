/* Convolution on int8 for Cortex-M, for weights of ES_BITS: columns of up to four output pixels are widened into scratch,
 * then multiplied by packed weights (cortex_m_columns.h; the packing is in layout.py). Bit-equal to reference/. Scratch:
 * the columns, and one run of a window's row.
 *
 * Outputs are written in raster order, those of one tile after all inputs of the tile were read. */
#ifndef EDGESMITH_CORTEX_M_CONVOLVE_H
#define EDGESMITH_CORTEX_M_CONVOLVE_H

#include "cortex_m_columns.h"
#include "edgesmith_packed.h"

/* Four columns while they take at most this much, else two. */
#define COLUMN_BYTES 3072

typedef struct {
    int32_t in_per, out_per; /* channels of one group */
    int32_t run, run_words;  /* one row of the window in one group: activations, words of the column */
    int32_t used, words;     /* one column: with activations, in all */
    int32_t together;        /* pixels of a full tile */
    int32_t last_y, last_x;  /* last first cell of a window that lies inside x, its rows in one piece; else -1 */
    int flat;                /* one cell under each output pixel, side by side: x is the matrix */
} geometry;

static ES_COMPACT __attribute__((noinline)) geometry geometry_of(const es_conv2d_s8_params *p) {
    geometry g;
    g.in_per = p->in_c / p->groups;
    g.out_per = p->out_c / p->groups;
    g.run = p->kernel_w * g.in_per;
    g.run_words = (g.run + 1) / 2;
    g.used = p->kernel_h * g.run_words;
    g.words = es_whole_units(g.used);
    const int side_by_side = p->kernel_w == 1 || (p->dilation_w == 1 && p->groups == 1);
    g.last_y = p->in_h - 1 - (p->kernel_h - 1) * p->dilation_h;
    g.last_x = side_by_side ? p->in_w - p->kernel_w : -1;
    g.flat = p->kernel_h == 1 && p->kernel_w == 1 && p->stride_h == 1 && p->stride_w == 1 && p->pad_top == 0 &&
             p->pad_left == 0 && p->out_w == p->in_w && p->out_h <= p->in_h;
    g.together = 16 * g.words <= COLUMN_BYTES ? 4 : 2;
    return g;
}

static size_t scratch_of(const es_conv2d_s8_params *p) {
    const geometry g = geometry_of(p);
    return (size_t)(4 * g.words * g.together + ((g.run + 3) & ~3));
}

/* One row of a window whose cells do not lie side by side inside x, cell by cell; x is NULL for a row outside. */
static ES_COMPACT void stage_run(const es_conv2d_s8_params *p, int32_t in_per, const int8_t *x, int32_t ix,
                                 int8_t *run) {
    for (int32_t kx = 0; kx < p->kernel_w; kx++, ix += p->dilation_w, run += in_per) {
        if (x != NULL && ix >= 0 && ix < p->in_w) {
            __builtin_memcpy(run, x + ix * p->in_c, (size_t)in_per);
        } else {
            __builtin_memset(run, p->x_zero, (size_t)in_per);
        }
    }
}

/* A window of `rows` rows inside x whose cells lie side by side; x_step: from one row of x to the next. All gather_*
 * return what es_widen does. */
static __attribute__((noinline)) uint32_t gather_inside(const int8_t *x, int32_t x_step, int32_t rows, int32_t run,
                                                        uint32_t *column, int32_t step) {
    const int32_t column_step = (run + 1) / 2 * step;
    uint32_t sum = 0;
    for (; rows > 0; rows--, x += x_step, column += column_step) sum = es_widen(x, run, column, step, sum);
    return sum;
}

/* The column of any window, row by row. */
static ES_COMPACT __attribute__((noinline)) uint32_t gather_any(const es_conv2d_s8_params *p, const geometry *g,
                                                                const int8_t *x, int32_t iy, int32_t ix,
                                                                uint32_t *column, int32_t step, int8_t *run) {
    uint32_t sum = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ky++, iy += p->dilation_h, column += g->run_words * step) {
        stage_run(p, g->in_per, iy >= 0 && iy < p->in_h ? x + iy * p->in_w * p->in_c : NULL, ix, run);
        sum = es_widen(run, g->run, column, step, sum);
    }
    return sum;
}

/* The column of the window whose first cell is (iy, ix), for the group that starts at x. */
static uint32_t gather(const es_conv2d_s8_params *p, const geometry *g, const int8_t *x, int32_t iy, int32_t ix,
                       uint32_t *column, int32_t step, int8_t *run) {
    const int32_t row = p->in_w * p->in_c;
    if (iy >= 0 && iy <= g->last_y && ix >= 0 && ix <= g->last_x) {
        return gather_inside(x + iy * row + ix * p->in_c, row * p->dilation_h, p->kernel_h, g->run, column, step);
    }
    return gather_any(p, g, x, iy, ix, column, step, run);
}

/* The columns of P neighbouring output pixels from (oy, ox) on, for the group that starts at x, and their sums. */
static void gather_tile(const es_conv2d_s8_params *p, const geometry *g, const int8_t *x, int32_t oy, int32_t ox,
                        uint32_t *columns, int32_t P, uint32_t *sums) {
    int8_t *run = (int8_t *)(columns + g->words * g->together);
    if (g->flat) {
        x += (oy * p->in_w + ox) * p->in_c;
        for (int32_t i = 0; i < P; i++, x += p->in_c) sums[i] = es_widen(x, g->run, columns + i, P, 0);
        return;
    }
    for (int32_t i = 0; i < P; i++) {
        const int32_t iy = oy * p->stride_h - p->pad_top, ix = ox * p->stride_w - p->pad_left;
        sums[i] = gather(p, g, x, iy, ix, columns + i, P, run);
        if (++ox == p->out_w) {
            ox = 0;
            oy++;
        }
    }
}

static inline void convolve(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, uint32_t *columns) {
    const geometry g = geometry_of(p);
    const int usual = es_all_are_usual(shift, b, p->out_c, g.words);
    const int32_t pixels = p->out_h * p->out_w, group_bytes = es_pair_bytes(g.words) * ((g.out_per + 1) / 2);
    es_tile t = {.y_step = p->out_c, .y_factor = 2 * p->y_zero + 1, .words = g.words, .y_zero = p->y_zero};
    int32_t P, oy = 0, ox = 0;
    for (int32_t pixel = 0; pixel < pixels; pixel += P) {
        P = pixels - pixel >= g.together ? g.together : pixels - pixel >= 2 ? 2 : 1;
        for (int32_t group = 0; group < p->groups; group++) {
            const int32_t o = group * g.out_per;
            uint32_t sums[4] = {0, 0, 0, 0};
            gather_tile(p, &g, x + group * g.in_per, oy, ox, columns, P, sums);
            es_tile_columns(&t, columns, P, g.used, sums);
            t.w = w + group * group_bytes;
            t.bias = b + o;
            t.multiplier = multiplier + o;
            t.shift = shift + o;
            t.y = y + pixel * p->out_c + o;
            es_tile_channels(&t, P, g.out_per, usual);
        }
        for (ox += P; ox >= p->out_w; ox -= p->out_w) oy++;
    }
    es_clamp_all(y, pixels * p->out_c, p->low, p->high);
}

#endif

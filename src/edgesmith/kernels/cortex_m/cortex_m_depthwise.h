/* Depthwise convolution on int8 for Cortex-M, for weights of ES_BITS. w is (kernel_h, kernel_w, out_c), of codes one row
 * (edgesmith_packed.h); output channel o reads input channel o / (out_c / in_c). Bit-equal to reference/.
 *
 * NHWC keeps the cells of one channel apart. So a band of input rows is taken apart into one int16 plane per channel,
 * four channels at a time (SXTB16, PKHBT, PKHTB), with the padding in place; then each channel runs over its plane with
 * its weights in registers, two taps a SMLAD. Rows shared by two bands stay in scratch, so with stride 1 and "same"
 * padding y may be x: a row is written after the band that reads it was taken in. */
#ifndef EDGESMITH_CORTEX_M_DEPTHWISE_H
#define EDGESMITH_CORTEX_M_DEPTHWISE_H

#include "cortex_m_lift.h"
#include "cortex_m_window3x3.h"
#include "edgesmith_packed.h"

enum { CHANNELS = 4 };
/* Scratch for the planes, unless a single row of output needs more. */
#define BAND_BYTES 3072

typedef struct {
    int32_t window_h, pitch;      /* rows a window reaches over; int16 cells of one row of a plane */
    int32_t out_rows, rows, plane; /* of a band: output rows, input rows, cells of one plane */
    int32_t taps;                 /* words of the packed weights of one channel */
} geometry;

static ES_COMPACT __attribute__((noinline)) geometry geometry_of(const es_conv2d_s8_params *p) {
    geometry g;
    const int32_t pairs_w = (p->out_w + 1) & ~1;
    g.window_h = (p->kernel_h - 1) * p->dilation_h + 1;
    /* An odd last tap is met by the cell after it too. With dilation 1 that lies in the scratch at any rate. */
    const int32_t last_tap = p->dilation_w == 1 ? p->kernel_w - 1 : (p->kernel_w - 1) | 1;
    g.pitch = (pairs_w * p->stride_w + last_tap * p->dilation_w + 1) & ~1;
    const int32_t fit = BAND_BYTES / (2 * CHANNELS * g.pitch) - g.window_h;
    g.out_rows = fit < 0 ? 1 : fit / p->stride_h + 1;
    if (g.out_rows > p->out_h) g.out_rows = p->out_h;
    g.rows = (g.out_rows - 1) * p->stride_h + g.window_h;
    g.plane = g.rows * g.pitch;
    g.taps = p->kernel_h * ((p->kernel_w + 1) / 2);
    return g;
}

static ES_COMPACT size_t scratch_of(const es_conv2d_s8_params *p) {
    const geometry g = geometry_of(p);
    return (size_t)(2 * CHANNELS * g.plane + 4 * g.taps);
}

#if ES_BITS == 8
static inline int32_t weight(const int8_t *w, int32_t i, int32_t lift) {
    (void)lift;
    return w[i];
}
static inline int32_t lift_of(const es_conv2d_s8_params *p, uint32_t shift, int32_t bias) {
    (void)p;
    (void)shift;
    (void)bias;
    return 0;
}
#else
static ES_COMPACT __attribute__((noinline)) int32_t weight(const int8_t *w, int32_t i, int32_t lift) {
    return es_code(w, i, ES_BITS) * (1 << lift);
}

/* What weights, bias and shift of a channel are lifted by; weights stay within int16. */
static ES_COMPACT int32_t lift_of(const es_conv2d_s8_params *p, uint32_t shift, int32_t bias) {
    const int32_t lift = es_lift(shift);
    return lift <= 12 && es_lifts(shift, bias, (p->kernel_h * p->kernel_w) << (ES_BITS + 6)) ? lift : 0;
}
#endif

static inline uint32_t lanes(int32_t low, int32_t high) { return (uint16_t)low | (uint32_t)(uint16_t)high << 16; }

static ES_COMPACT void fill(int16_t *cells, int32_t n, int32_t value) {
    for (int32_t i = 0; i < n; i++) cells[i] = (int16_t)value;
}

/* n cells of one channel, `step` apart. */
static ES_COMPACT void take_one(const int8_t *x, int32_t step, int32_t n, int16_t *cells) {
    for (int32_t i = 0; i < n; i++, x += step) cells[i] = *x;
}

#if defined(__ARM_FEATURE_DSP)
static inline uint32_t load(const void *from) {
    uint32_t v;
    __builtin_memcpy(&v, from, 4);
    return v;
}
static inline uint32_t even_bytes(uint32_t v) { return (uint32_t)__sxtb16((int32_t)v); }
static inline uint32_t odd_bytes(uint32_t v) { return (uint32_t)__sxtb16((int32_t)(v >> 8 | v << 24)); }
static inline uint32_t low_halves(uint32_t a, uint32_t b) { return (a & 0xffffu) | b << 16; }
static inline uint32_t high_halves(uint32_t a, uint32_t b) { return a >> 16 | (b & 0xffff0000u); }
#endif

/* n cells of four neighbouring channels into their planes. */
static __attribute__((noinline)) void take_four(const int8_t *x, int32_t step, int32_t n, int16_t *cells,
                                                int32_t plane) {
#if defined(__ARM_FEATURE_DSP)
    if (((uintptr_t)cells & 2u) != 0 && n > 0) { /* pairs are stored as words */
        for (int32_t c = 0; c < 4; c++) cells[c * plane] = x[c];
        x += step;
        cells++;
        n--;
    }
    uint32_t *d0 = (uint32_t *)(void *)cells, *d1 = d0 + plane / 2, *d2 = d1 + plane / 2, *d3 = d2 + plane / 2;
    for (; n >= 2; n -= 2, x += 2 * step) {
        const uint32_t u = load(x), v = load(x + step);
        const uint32_t u02 = even_bytes(u), u13 = odd_bytes(u), v02 = even_bytes(v), v13 = odd_bytes(v);
        *d0++ = low_halves(u02, v02);
        *d1++ = low_halves(u13, v13);
        *d2++ = high_halves(u02, v02);
        *d3++ = high_halves(u13, v13);
    }
    cells = (int16_t *)(void *)d0;
#endif
    for (; n > 0; n--, x += step, cells++) {
        for (int32_t c = 0; c < 4; c++) cells[c * plane] = x[c];
    }
}

/* Input row iy of n channels into row `row` of their planes. The padding columns are already there. */
static ES_COMPACT void take_row(const es_conv2d_s8_params *p, const geometry *g, const int8_t *x, int32_t iy, int32_t n,
                     int16_t *planes, int32_t row) {
    const int32_t room = g->pitch - p->pad_left, width = p->in_w < room ? p->in_w : room;
    int16_t *cells = planes + row * g->pitch + p->pad_left;
    if (iy < 0 || iy >= p->in_h) {
        for (int32_t c = 0; c < n; c++) fill(cells + c * g->plane, width, p->x_zero);
        return;
    }
    x += iy * p->in_w * p->in_c;
    if (n == CHANNELS) {
        take_four(x, p->in_c, width, cells, g->plane);
        return;
    }
    for (int32_t c = 0; c < n; c++) take_one(x + c, p->in_c, width, cells + c * g->plane);
}

/* One output channel over a band. */
typedef struct {
    const int16_t *plane;
    int32_t row_step, pitch; /* cells from one output row's window to the next; from one row to the next */
    const uint32_t *taps;    /* packed weights, kernel_h rows */
    int32_t bias, multiplier;
    uint32_t shift;
    int32_t lift; /* of the weights; bias and shift have it already */
    int8_t *y;
    int32_t rows, width, y_step; /* outputs; y_step: from one pixel to the next */
} task;

/* One row of a window, `pairs` pairs of taps whose cells are `next` apart. An odd last tap has a weight of 0 beside it;
 * the cell it meets lies in the row or in the scratch behind. */
static inline __attribute__((always_inline)) uint32_t row_sum(const int16_t *x, int32_t next, int32_t pairs,
                                                              const uint32_t *tap, uint32_t sum) {
    for (int32_t i = 0; i < pairs; i++, x += 2 * next, tap++) {
#if defined(__ARM_FEATURE_DSP)
        if (next == 1) {
            sum = (uint32_t)__smlad((int32_t)load(x), (int32_t)*tap, (int32_t)sum);
            continue;
        }
#endif
        sum += (uint32_t)(x[0] * (int16_t)*tap) + (uint32_t)(x[next] * (int16_t)(*tap >> 16));
    }
    return sum;
}

/* A window of any height; pairs and next are constants where that is worth its code. */
static inline __attribute__((always_inline)) void run_rows(const es_conv2d_s8_params *p, const task *t, int32_t pairs,
                                                           int32_t next) {
    const int32_t row = p->dilation_h * t->pitch, taps = p->kernel_h * pairs, stride = p->stride_w, y_step = t->y_step;
    const int usual = es_shift_is_usual(t->shift);
    const es_channel c = usual ? es_channel_of(t->multiplier, t->shift, p->y_zero) : (es_channel){0, 0, 0};
    int8_t *y = t->y;
    for (int32_t oy = 0; oy < t->rows; oy++) {
        const int16_t *corner = t->plane + oy * t->row_step;
        for (int32_t ox = 0; ox < t->width; ox++, corner += stride, y += y_step) {
            uint32_t sum = (uint32_t)t->bias;
            const int16_t *x = corner;
            for (const uint32_t *tap = t->taps, *end = tap + taps; tap < end; tap += pairs, x += row) {
                sum = row_sum(x, next, pairs, tap, sum);
            }
            const int32_t acc = (int32_t)sum;
            *y = usual ? es_channel_apply(c, acc) : es_requant_any(acc, t->multiplier, t->shift, p->y_zero);
        }
    }
}

#if defined(__ARM_FEATURE_DSP)

typedef uint32_t __attribute__((may_alias)) two_cells; /* rows of a plane begin at words */

/* Two outputs side by side, stride 1, windows 2 * pairs - 1 wide: they share the cells, and each row's weights serve
 * twice: (w0,w1), (w2,w3) .. meet the first output's cells as they lie, (w1,w2), (w3,w4) .. the second's, whose cell of
 * w0 is the odd one of the first pair. */
static inline __attribute__((always_inline)) void run_two(const es_conv2d_s8_params *p, const task *t, int32_t pairs) {
    const int32_t row = t->pitch / 2, y_step = t->y_step;
    const es_channel c = es_channel_of(t->multiplier, t->shift, p->y_zero);
    const uint32_t *end = t->taps + p->kernel_h * pairs;
    int8_t *y = t->y;
    for (int32_t oy = 0; oy < t->rows; oy++) {
        const two_cells *corner = (const two_cells *)(const void *)(t->plane + oy * t->row_step);
        for (int32_t ox = 0; ox < t->width; ox += 2, corner++) {
            int32_t first = t->bias, second = t->bias;
            const two_cells *x = corner;
            for (const uint32_t *tap = t->taps; tap < end; tap += pairs, x += row) {
                int32_t cells = (int32_t)x[0], weights = (int32_t)tap[0];
                first = __smlad(cells, weights, first);
                second = __smlatb(cells, weights, second);
                for (int32_t i = 1; i < pairs; i++) {
                    const int32_t next = (int32_t)tap[i];
                    cells = (int32_t)x[i];
                    second = __smlad(cells, (int32_t)high_halves((uint32_t)weights, (uint32_t)next << 16), second);
                    first = i < pairs - 1 ? __smlad(cells, next, first) : __smlabb(cells, next, first);
                    weights = next;
                }
            }
            *y = es_channel_apply(c, first);
            if (ox + 1 < t->width) y[y_step] = es_channel_apply(c, second);
            y += 2 * y_step;
        }
        if (t->width % 2 != 0) y -= y_step;
    }
}

#endif

static ES_COMPACT void run_any(const es_conv2d_s8_params *p, const task *t) {
    const int32_t pairs = (p->kernel_w + 1) / 2;
#if defined(__ARM_FEATURE_DSP)
    const int neighbours = p->stride_w == 1 && p->dilation_w == 1 && p->dilation_h == 1 && p->kernel_w % 2 != 0;
    if (neighbours && es_shift_is_usual(t->shift) && (pairs == 3 || pairs == 4)) {
        if (pairs == 3) {
            run_two(p, t, 3);
        } else {
            run_two(p, t, 4);
        }
        return;
    }
#endif
    if (p->dilation_w == 1 && pairs == 3) {
        run_rows(p, t, 3, 1); /* widths 5 and 6 */
    } else if (p->dilation_w == 1 && pairs == 4) {
        run_rows(p, t, 4, 1); /* widths 7 and 8 */
    } else {
        run_rows(p, t, pairs, p->dilation_w);
    }
}

#if defined(__ARM_FEATURE_DSP)

/* A 3x3 window of neighbouring cells, of output channel o. */
static void run_3x3(const es_conv2d_s8_params *p, const task *t, const int8_t *w, int32_t o) {
    const int32_t two = p->stride_w == 1 ? 2 : 1, steps = (t->width + two - 1) / two, row_step = 2 * t->row_step;
    const int even = two == 2 && t->width % 2 == 0;
    es_window3x3 window = {
        .channel = es_channel_of(t->multiplier, t->shift, p->y_zero),
        .bias = {t->bias, t->bias},
        .y_step = t->y_step,
        .row_end = (uintptr_t)t->plane + (uintptr_t)(4 * steps - even),
        .row_gap = row_step - 4 * steps,
        .row_step = row_step,
        .rows = t->rows,
        .pitch = 2 * t->pitch - 4,
        .x = t->plane,
        .y = t->y,
    };
    window.channel.shift--; /* the last bit is SSAT's */
    for (int32_t ky = 0; ky < 3; ky++, o += 3 * p->out_c) {
        const int32_t w0 = weight(w, o, t->lift), w1 = weight(w, o + p->out_c, t->lift);
        const int32_t w2 = weight(w, o + 2 * p->out_c, t->lift);
        window.w[2 * ky] = es_two_weights(w0, w1);
        window.w[2 * ky + 1] = es_two_weights(w1, w2);
    }
    if (p->stride_w == 1) {
        run_stride_1(&window);
    } else {
        run_stride_2(&window);
    }
}

#else

static void run_3x3(const es_conv2d_s8_params *p, const task *t, const int8_t *w, int32_t o) {
    const es_channel c = es_channel_of(t->multiplier, t->shift, p->y_zero);
    int32_t k[9];
    for (int32_t i = 0; i < 9; i++) k[i] = weight(w, o + i * p->out_c, t->lift);
    int8_t *y = t->y;
    for (int32_t oy = 0; oy < t->rows; oy++) {
        const int16_t *top = t->plane + oy * t->row_step, *middle = top + t->pitch, *bottom = middle + t->pitch;
        for (int32_t ox = 0; ox < t->width; ox++, y += t->y_step) {
            uint32_t sum = (uint32_t)t->bias;
            for (int32_t i = 0; i < 3; i++) {
                sum += (uint32_t)(top[i] * k[i]) + (uint32_t)(middle[i] * k[3 + i]) + (uint32_t)(bottom[i] * k[6 + i]);
            }
            *y = es_channel_apply(c, (int32_t)sum);
            top += p->stride_w;
            middle += p->stride_w;
            bottom += p->stride_w;
        }
    }
}

#endif

static int is_3x3(const es_conv2d_s8_params *p) {
    const int size = p->kernel_h == 3 && p->kernel_w == 3 && p->dilation_h == 1 && p->dilation_w == 1;
    return size && (p->stride_w == 1 || p->stride_w == 2);
}

/* Weights of output channel o as pairs of neighbouring taps; an odd last one beside a 0. */
static ES_COMPACT void pack_taps(const es_conv2d_s8_params *p, const int8_t *w, int32_t o, int32_t lift,
                                 uint32_t *taps) {
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        int32_t kx = p->kernel_w;
        for (; kx >= 2; kx -= 2, o += 2 * p->out_c) {
            *taps++ = lanes(weight(w, o, lift), weight(w, o + p->out_c, lift));
        }
        if (kx == 0) continue;
        *taps++ = lanes(weight(w, o, lift), 0);
        o += p->out_c;
    }
}

/* The constants of all channels. */
typedef struct {
    const int8_t *w;
    const int32_t *bias, *multiplier;
    const uint8_t *shift;
} constants;

/* `rows` output rows, written from y on, of the n input channels from c on. */
static void run_band(const es_conv2d_s8_params *p, const geometry *g, const constants *k, int32_t c, int32_t n,
                     int16_t *planes, int32_t rows, int8_t *y) {
    uint32_t *taps = (uint32_t *)(void *)(planes + CHANNELS * g->plane);
    const int32_t per = p->out_c / p->in_c;
    const int small = is_3x3(p);
    task t = {.row_step = p->stride_h * g->pitch, .pitch = g->pitch, .taps = taps, .rows = rows};
    t.width = p->out_w;
    t.y_step = p->out_c;
    for (int32_t i = 0; i < n; i++) {
        for (int32_t o = (c + i) * per; o < (c + i + 1) * per; o++) {
            t.plane = planes + i * g->plane;
            t.lift = lift_of(p, k->shift[o], k->bias[o]);
            t.bias = k->bias[o] * (1 << t.lift);
            t.multiplier = k->multiplier[o];
            t.shift = k->shift[o] + (uint32_t)t.lift;
            t.y = y + o;
            if (small && es_shift_is_usual(t.shift)) {
                run_3x3(p, &t, k->w, o);
            } else {
                pack_taps(p, k->w, o, t.lift, taps);
                run_any(p, &t);
            }
        }
    }
}

/* The last rows of a band that the next one reads too move to its top. Returns how many. */
static ES_COMPACT int32_t keep_rows(const geometry *g, int16_t *planes, int32_t advance) {
    const int32_t kept = g->rows - advance;
    if (kept <= 0) return 0;
    for (int32_t c = 0; c < CHANNELS; c++) {
        uint32_t *to = (uint32_t *)(void *)(planes + c * g->plane);
        const uint32_t *from = to + advance * g->pitch / 2;
        for (int32_t i = 0; i < kept * g->pitch / 2; i++) to[i] = from[i];
    }
    return kept;
}

static ES_COMPACT void convolve(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                                const int32_t *multiplier, const uint8_t *shift, int8_t *y, int16_t *planes) {
    const geometry g = geometry_of(p);
    const constants k = {w, b, multiplier, shift};
    const int32_t advance = g.out_rows * p->stride_h;
    fill(planes, CHANNELS * g.plane, p->x_zero);
    for (int32_t c = 0; c < p->in_c; c += CHANNELS) {
        const int32_t n = p->in_c - c < CHANNELS ? p->in_c - c : CHANNELS;
        int32_t kept = 0;
        for (int32_t oy = 0; oy < p->out_h; oy += g.out_rows) {
            const int32_t rows = p->out_h - oy < g.out_rows ? p->out_h - oy : g.out_rows;
            const int32_t needed = (rows - 1) * p->stride_h + g.window_h, top = oy * p->stride_h - p->pad_top;
            for (int32_t row = kept; row < needed; row++) take_row(p, &g, x + c, top + row, n, planes, row);
            run_band(p, &g, &k, c, n, planes, rows, y + oy * p->out_w * p->out_c);
            if (oy + rows < p->out_h) kept = keep_rows(&g, planes, advance);
        }
    }
    es_clamp_all(y, p->out_h * p->out_w * p->out_c, p->low, p->high);
}

#endif

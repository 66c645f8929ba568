/* conv2d_s8 with groups = in_c on x86-64 (x86_lanes.h tells how the weights are packed). Rows of a strip are walked as
 * one line of 64 outputs at a time where channels repeat soon (every ES_X86_PERIOD vectors at most) and a place is no
 * whole number of vectors: cells of a row are then split by column modulo the stride, so that every tap is a line.
 * Else vectors stay within a place. Several outputs to a channel: one by one, w as (taps, out_c).
 * Scratch: offsets of the taps, tables of the channels, a strip of bytes. */
#include "edgesmith_integer.h"
#include "edgesmith_threads.h"
#include "x86_lanes.h"
#include "x86_strip.h"

#define ES_X86_PERIOD 9

typedef struct {
    es_x86_image image;
    es_x86_output out;
    const int8_t *x, *w;
    int8_t *y;
    int32_t vectors, line; /* of channels; whether rows are walked as one line */
} depthwise;

static int32_t taps_of(const es_x86_image *m) {
    return m->kernel_h * m->kernel_w;
}

/* Vectors after which channels repeat along a line. */
static int32_t period(int32_t channels) {
    int32_t vectors = 1;
    while (vectors * ES_X86_VECTOR % channels != 0 && vectors <= ES_X86_PERIOD) vectors++;
    return vectors;
}

static depthwise job_of(const es_conv2d_s8_params *p) {
    depthwise d = {.image = es_x86_image_of(p)};
    const int32_t vectors = period(p->in_c);
    d.line = vectors <= ES_X86_PERIOD && p->in_c % ES_X86_VECTOR != 0;
    d.vectors = d.line ? vectors : (p->in_c + ES_X86_VECTOR - 1) / ES_X86_VECTOR;
    d.image.planes = d.line ? p->stride_w : 1;
    return d;
}

static size_t offset_bytes(const es_x86_image *m) {
    return ((size_t)taps_of(m) * 4 + 63) / 64 * 64;
}

static size_t scratch_bytes(const depthwise *d) {
    return offset_bytes(&d->image) + (size_t)d->vectors * sizeof(es_x86_table) + es_x86_strip_elements(&d->image);
}

size_t es_depthwise_conv2d_s8_scratch(const es_conv2d_s8_params *p) {
    if (p->out_c != p->in_c) return 0;
    const depthwise d = job_of(p);
    return scratch_bytes(&d);
}

static void find_taps(const es_x86_image *m, int32_t *offsets) {
    const int32_t taps = taps_of(m), plane = es_x86_plane(m);
    for (int32_t tap = 0; tap < taps; tap++) {
        const int32_t column = tap % m->kernel_w * m->dilation_w, row = tap / m->kernel_w * m->dilation_h;
        offsets[tap] = (row * m->planes + column % m->planes) * plane + column / m->planes * m->cell;
    }
    for (int32_t tap = taps; tap % 4 != 0; tap++) offsets[tap] = 0; /* times weights of 0 */
}

ES_INLINE void fill_tables(const depthwise *d, size_t vector_bytes, es_x86_table *tables, const int32_t level) {
    for (int32_t v = 0; v < d->vectors; v++) {
        const int8_t *excess = d->w + (size_t)v * vector_bytes;
        es_x86_table *t = tables + v;
        for (int32_t i = 0; i < ES_X86_VECTOR; i++) {
            const int32_t c = v * ES_X86_VECTOR + i, place = es_x86_place(i), channel = c % d->image.cell;
            const int real = d->line || c < d->image.cell;
            int32_t more = 0;
            if (level == ES_X86_VNNI) __builtin_memcpy(&more, excess + 4 * place, 4);
            t->start[place] = real ? es_signed((uint32_t)d->out.b[channel] + (uint32_t)more) : 0;
            t->multiplier[place] = real ? d->out.multiplier[channel] : 0;
            t->shift[place] = real ? d->out.shift[channel] : 1;
        }
    }
}

static int32_t at_most_a_vector(int32_t n) {
    return n < ES_X86_VECTOR ? n : ES_X86_VECTOR;
}

/* One vector of channels along one output row. */
static es_x86_lanes lanes_of(const depthwise *d, int32_t v, const uint8_t *x, int8_t *y) {
    const es_x86_image *m = &d->image;
    const int32_t line = m->out_w * m->cell, first = v * ES_X86_VECTOR, step = d->vectors * ES_X86_VECTOR;
    es_x86_lanes lanes = {.out = &d->out, .x = x + first, .y = y + first, .taps = taps_of(m), .channel = first};
    lanes.period = m->cell;
    if (d->line) {
        lanes.count = line > first ? (line - first + step - 1) / step : 0;
        lanes.from = lanes.to = step;
        lanes.most = ES_X86_VECTOR;
        lanes.last = at_most_a_vector(line - first - (lanes.count - 1) * step);
    } else {
        lanes.count = m->out_w;
        lanes.from = m->stride_w * m->cell;
        lanes.to = m->cell;
        lanes.most = lanes.last = at_most_a_vector(m->cell - first);
    }
    return lanes;
}

ES_INLINE void rows_of(const void *job, int32_t first, int32_t last, void *scratch, const int32_t level) {
    const depthwise *d = job;
    const es_x86_image *m = &d->image;
    const size_t vector_bytes = 256 * ((size_t)es_x86_tap_fours(taps_of(m)) + 1);
    int32_t *offsets = scratch;
    es_x86_table *tables = (es_x86_table *)(void *)((uint8_t *)scratch + offset_bytes(m));
    uint8_t *strip = (uint8_t *)(tables + d->vectors);
    const int32_t most = es_x86_strip_rows(m), row = m->stride_h * m->planes * es_x86_plane(m);
    find_taps(m, offsets);
    fill_tables(d, vector_bytes, tables, level);
    for (int32_t oy = first; oy < last; oy += most) {
        const int32_t rows = last - oy < most ? last - oy : most;
        es_x86_copy_strip(m, d->x, oy, rows, strip, level == ES_X86_VNNI ? level : ES_X86_PLAIN);
        for (int32_t v = 0; v < d->vectors; v++) {
            for (int32_t r = 0; r < rows; r++) {
                es_x86_lanes lanes = lanes_of(d, v, strip + r * row, d->y + (oy + r) * m->out_w * m->cell);
                lanes.w = d->w + (size_t)v * vector_bytes + 256;
                lanes.table = tables + v;
                lanes.offsets = offsets;
                es_x86_lanes_run(&lanes, level);
            }
        }
    }
}

ES_X86_BODIES(part, rows_of, (const void *job, int32_t first, int32_t last, void *scratch),
              (job, first, last, scratch))

/* Every input channel has several outputs. */
static void several(const es_conv2d_s8_params *p, const es_x86_output *out, const int8_t *x, const int8_t *w, int8_t *y) {
    const int32_t each = p->out_c / p->in_c;
    for (int32_t i = 0; i < p->out_h * p->out_w * p->out_c; i++) {
        const int32_t o = i % p->out_c, ox = i / p->out_c % p->out_w, oy = i / p->out_c / p->out_w;
        uint32_t acc = (uint32_t)out->b[o];
        for (int32_t tap = 0; tap < p->kernel_h * p->kernel_w; tap++) {
            const int32_t iy = oy * p->stride_h - p->pad_top + tap / p->kernel_w * p->dilation_h;
            const int32_t ix = ox * p->stride_w - p->pad_left + tap % p->kernel_w * p->dilation_w;
            const int inside = iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w;
            const int32_t value = inside ? x[(iy * p->in_w + ix) * p->in_c + o / each] : p->x_zero;
            acc += (uint32_t)(value * w[tap * p->out_c + o]);
        }
        y[i] = es_x86_one(out, o, es_signed(acc));
    }
}

void es_depthwise_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    depthwise d = job_of(p);
    d.out = (es_x86_output){b, multiplier, shift, p->y_zero, p->low, p->high};
    if (p->out_c != p->in_c) {
        several(p, &d.out, x, w, y);
        return;
    }
    d.x = x;
    d.w = w;
    d.y = y;
    const int64_t products = (int64_t)p->out_h * p->out_w * p->out_c * taps_of(&d.image);
    const es_job job = {part, &d, p->out_h, scratch_bytes(&d), products / 25}; /* about 25 a nanosecond */
    es_run(&job, scratch);
}

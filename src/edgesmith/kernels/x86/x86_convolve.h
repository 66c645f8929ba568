/* Convolution by strips and products: what conv2d_s8 and linear_s8 share. Windows are read where they lie in the strip;
 * nothing is gathered. A window's rows are its runs where they are contiguous, else its cells are.
 * Scratch: the runs' offsets, then a strip of elements of two bytes at most. */
#ifndef EDGESMITH_X86_CONVOLVE_H
#define EDGESMITH_X86_CONVOLVE_H

#include "edgesmith_threads.h"
#include "x86_product.h"
#include "x86_strip.h"

/* A convolution: the image, what each group makes of it, and where. */
typedef struct {
    es_x86_image image;
    es_x86_product product; /* of the first group; no offsets */
    const int8_t *x;
    int8_t *y;
    int32_t groups, out_c;
} es_x86_convolution;

/* Whether a row of a window is one run. */
static inline int es_x86_whole_rows(const es_x86_image *m, int32_t groups) {
    return groups == 1 && m->dilation_w == 1;
}

static inline int32_t es_x86_runs(const es_x86_image *m, int32_t groups) {
    return m->kernel_h * (es_x86_whole_rows(m, groups) ? 1 : m->kernel_w);
}

static inline int32_t es_x86_fours(const es_x86_image *m, int32_t groups) {
    return ((es_x86_whole_rows(m, groups) ? m->kernel_w : 1) * (m->cell / groups) + 3) / 4;
}

/* Bytes of the offsets, which keep the strip aligned. */
static inline size_t es_x86_offset_bytes(int32_t runs) {
    return ((size_t)runs * 4 + 63) / 64 * 64;
}

static inline size_t es_x86_convolution_scratch(const es_x86_image *m, int32_t groups) {
    return es_x86_offset_bytes(es_x86_runs(m, groups)) + 2 * es_x86_strip_elements(m);
}

static inline void es_x86_find_runs(const es_x86_convolution *c, int32_t *offsets) {
    const es_x86_image *m = &c->image;
    const int32_t row = es_x86_plane(m), each = c->product.runs / m->kernel_h;
    for (int32_t run = 0; run < c->product.runs; run++) {
        offsets[run] = run / each * m->dilation_h * row + run % each * m->dilation_w * m->cell;
    }
}

/* A convolution as a job: units of some output rows, or of blocks where there are few windows. */
typedef struct {
    es_x86_convolution c;
    int32_t unit_rows; /* 0: units are blocks of every group */
} es_x86_work;

/* The product of one group. */
static inline es_x86_product es_x86_of_group(const es_x86_convolution *c, const int32_t *offsets, int32_t group) {
    es_x86_product g = c->product;
    g.offsets = offsets;
    g.w += (size_t)group * (size_t)es_x86_blocks(g.channels) * es_x86_block_bytes(&g);
    g.out.b += group * g.channels;
    g.out.multiplier += group * g.channels;
    g.out.shift += group * g.channels;
    return g;
}

/* Where ES_X86_ROWS windows begin and end, the first at (oy, ox); those beyond `count` repeat the last. */
ES_INLINE void es_x86_place_windows(const es_x86_image *m, uint8_t *strip, int8_t *y, int32_t out_c, int32_t oy,
                                    int32_t ox, int32_t count, const uint8_t **from, int8_t **to, const int32_t level) {
    const int32_t row = m->stride_h * es_x86_plane(m), step = m->stride_w * m->cell;
    if (m->out_w == 1 || (count == ES_X86_ROWS && ox + ES_X86_ROWS <= m->out_w)) {
        const int32_t next = m->out_w == 1 ? row : step;
        const uint8_t *x = es_x86_at(strip, oy * row + ox * step, level);
        int8_t *out = y + (oy * m->out_w + ox) * out_c;
        for (int32_t r = 0; r < ES_X86_ROWS; r++) {
            from[r] = x;
            to[r] = out;
            if (r + 1 >= count) continue;
            x = es_x86_at((uint8_t *)(uintptr_t)x, next, level);
            out += out_c;
        }
        return;
    }
    for (int32_t r = 0; r < ES_X86_ROWS; r++) {
        from[r] = es_x86_at(strip, oy * row + ox * step, level);
        to[r] = y + (oy * m->out_w + ox) * out_c;
        if (r + 1 >= count) continue;
        ox++;
        if (ox == m->out_w) {
            ox = 0;
            oy++;
        }
    }
}

/* All windows of `rows` output rows, whose strip is ready, to y; blocks from `block` up to `end`. */
ES_INLINE void es_x86_windows(const es_x86_convolution *c, const es_x86_product *g, uint8_t *strip, int8_t *y,
                              int32_t rows, int32_t block, int32_t end, const int32_t level) {
    const es_x86_image *m = &c->image;
    const int32_t cells = rows * m->out_w;
    int32_t oy = 0, ox = 0;
    for (int32_t cell = 0; cell < cells; cell += ES_X86_ROWS) {
        const int32_t count = cells - cell < ES_X86_ROWS ? cells - cell : ES_X86_ROWS;
        const uint8_t *from[ES_X86_ROWS];
        int8_t *to[ES_X86_ROWS];
        es_x86_place_windows(m, strip, y, c->out_c, oy, ox, count, from, to, level);
        es_x86_multiply(g, from, to, count, block, end, level);
        for (ox += ES_X86_ROWS; ox >= m->out_w; ox -= m->out_w) oy++;
    }
}

ES_INLINE void es_x86_convolve(const void *job, int32_t first, int32_t last, void *scratch, const int32_t level) {
    const es_x86_work *work = job;
    const es_x86_convolution *c = &work->c;
    const es_x86_image *m = &c->image;
    int32_t *offsets = scratch;
    uint8_t *strip = (uint8_t *)scratch + es_x86_offset_bytes(c->product.runs);
    const int by_rows = work->unit_rows > 0;
    const int32_t start = by_rows ? first * work->unit_rows : 0, most = es_x86_strip_rows(m);
    const int32_t stop = by_rows && last * work->unit_rows < m->out_h ? last * work->unit_rows : m->out_h;
    const int32_t block = by_rows ? 0 : first, end = by_rows ? es_x86_blocks(c->product.channels) : last;
    es_x86_find_runs(c, offsets);
    for (int32_t oy = start; oy < stop; oy += most) {
        const int32_t rows = stop - oy < most ? stop - oy : most;
        es_x86_copy_strip(m, c->x, oy, rows, strip, level);
        for (int32_t group = 0; group < c->groups; group++) {
            const es_x86_product g = es_x86_of_group(c, offsets, group);
            uint8_t *from = es_x86_at(strip, group * (m->cell / c->groups), level);
            int8_t *to = c->y + oy * m->out_w * c->out_c + group * g.channels;
            es_x86_windows(c, &g, from, to, rows, block, end, level);
        }
    }
}

ES_X86_BODIES(es_x86_part, es_x86_convolve, (const void *job, int32_t first, int32_t last, void *scratch),
              (job, first, last, scratch))

/* About 100 multiply-accumulates a nanosecond on one thread. */
static inline void es_x86_run(const es_x86_convolution *c, void *scratch) {
    const es_x86_image *m = &c->image;
    const int32_t blocks = es_x86_blocks(c->product.channels), cells = m->out_h * m->out_w;
    const int by_blocks = cells < 2 * ES_X86_ROWS && blocks > 2;
    const int32_t unit_rows = (ES_X86_ROWS + m->out_w - 1) / m->out_w;
    const es_x86_work work = {*c, by_blocks ? 0 : unit_rows};
    const int64_t macs = (int64_t)cells * c->out_c * c->product.runs * c->product.fours * 4;
    const es_job job = {es_x86_part, &work, by_blocks ? blocks : (m->out_h + unit_rows - 1) / unit_rows,
                        es_x86_convolution_scratch(m, c->groups), macs / 100};
    es_run(&job, scratch);
}

#endif

/* The part of a pooling window that lies inside x, in elements of x. */
#ifndef EDGESMITH_CORTEX_M_POOL_H
#define EDGESMITH_CORTEX_M_POOL_H

#include "edgesmith_integer.h"

typedef struct {
    int32_t first, rows, columns, row_step, column_step;
} es_pool_window;

/* Number of cells in [0, size), of `kernel` cells `dilation` apart from *start on, which moves to the first of them. */
static inline int32_t es_pool_inside(int32_t *start, int32_t kernel, int32_t dilation, int32_t size) {
    for (; kernel > 0 && *start < 0; kernel--) *start += dilation;
    int32_t count = 0;
    for (int32_t cell = *start; count < kernel && cell < size; cell += dilation) count++;
    return count;
}

/* The window whose first cell is (iy, ix). */
static inline es_pool_window es_pool_window_of(const es_pool2d_params *p, int32_t iy, int32_t ix) {
    es_pool_window w;
    w.rows = es_pool_inside(&iy, p->kernel_h, p->dilation_h, p->in_h);
    w.columns = es_pool_inside(&ix, p->kernel_w, p->dilation_w, p->in_w);
    w.column_step = p->dilation_w * p->channels;
    w.row_step = p->dilation_h * p->in_w * p->channels;
    w.first = (iy * p->in_w + ix) * p->channels;
    return w;
}

#endif

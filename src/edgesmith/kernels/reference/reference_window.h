/* Sums under windows, shared by conv2d_s8 and the kernels whose weights are packed. */
#ifndef EDGESMITH_REFERENCE_WINDOW_H
#define EDGESMITH_REFERENCE_WINDOW_H

#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"

/* Sum of one kernel cell over the n channels of a group; outside x every channel reads as x_zero. */
static inline uint32_t es_dot(const int8_t *x, const int8_t *w, int32_t n, int32_t x_zero) {
    uint32_t sum = 0;
    if (x != NULL) {
        for (int32_t c = 0; c < n; c++) sum += (uint32_t)(x[c] * w[c]);
    } else {
        for (int32_t c = 0; c < n; c++) sum += (uint32_t)(x_zero * w[c]);
    }
    return sum;
}

/* Sum over the window whose first cell is (y0, x0), for weights w of one output channel. */
static inline uint32_t es_window(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, int32_t y0,
                                 int32_t x0) {
    const int32_t n = p->in_c / p->groups;
    uint32_t sum = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = y0 + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; kx++, w += n) {
            const int32_t ix = x0 + kx * p->dilation_w;
            const int inside = iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w;
            sum += es_dot(inside ? x + (iy * p->in_w + ix) * p->in_c : NULL, w, n, p->x_zero);
        }
    }
    return sum;
}

/* Sum over the window whose first cell is (y0, x0), for output channel o of a depthwise layer; w is (kernel_h,
 * kernel_w, out_c). */
static inline uint32_t es_depthwise_window(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, int32_t y0,
                                           int32_t x0, int32_t o) {
    const int32_t c = o / (p->out_c / p->in_c);
    uint32_t sum = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = y0 + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; kx++) {
            const int32_t ix = x0 + kx * p->dilation_w;
            const int inside = iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w;
            const int32_t cell = inside ? x[(iy * p->in_w + ix) * p->in_c + c] : p->x_zero;
            sum += (uint32_t)(cell * w[(ky * p->kernel_w + kx) * p->out_c + o]);
        }
    }
    return sum;
}

/* A depthwise layer. */
static inline void es_depthwise(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                                const int32_t *multiplier, const uint8_t *shift, int8_t *y) {
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            const int32_t y0 = oy * p->stride_h - p->pad_top, x0 = ox * p->stride_w - p->pad_left;
            for (int32_t o = 0; o < p->out_c; o++) {
                const int32_t acc = es_signed((uint32_t)b[o] + es_depthwise_window(p, x, w, y0, x0, o));
                *y++ = es_clamp8(p->y_zero + es_requant(acc, multiplier[o], shift[o]), p->low, p->high);
            }
        }
    }
}

#endif

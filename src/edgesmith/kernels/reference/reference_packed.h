/* Layers whose weights are packed: an output channel's are unpacked into scratch, then used as int8; those of a
 * depthwise layer all at once. Layout: edgesmith_packed.h; arithmetic: docs/numbers.md. */
#ifndef EDGESMITH_REFERENCE_PACKED_H
#define EDGESMITH_REFERENCE_PACKED_H

#include "edgesmith_packed.h"
#include "reference_window.h"

/* Rows of a linear layer that share an unpacked channel. */
#define ES_ROWS_TOGETHER 16

static inline int32_t es_taps(const es_conv2d_s8_params *p) {
    return p->kernel_h * p->kernel_w * (p->in_c / p->groups);
}

/* One row of outputs after another; in a row one channel after another. */
static inline void es_conv2d_packed(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                                    const int32_t *multiplier, const uint8_t *shift, int8_t *y, int8_t *row,
                                    int32_t bits) {
    const int32_t in_per = p->in_c / p->groups, out_per = p->out_c / p->groups, taps = es_taps(p);
    for (int32_t oy = 0; oy < p->out_h; oy++, y += p->out_w * p->out_c) {
        const int32_t y0 = oy * p->stride_h - p->pad_top;
        for (int32_t o = 0; o < p->out_c; o++) {
            const int8_t *from = x + o / out_per * in_per;
            es_unpack(w + o * es_code_bytes(taps, bits), taps, bits, row);
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                const uint32_t sum = es_window(p, from, row, y0, ox * p->stride_w - p->pad_left);
                const int32_t acc = es_signed((uint32_t)b[o] + sum);
                const int64_t scaled = p->y_zero + es_requant(acc, multiplier[o], shift[o]);
                y[ox * p->out_c + o] = es_clamp8(scaled, p->low, p->high);
            }
        }
    }
}

/* Some rows at a time; of them one channel after another. */
static inline void es_linear_packed(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                                    const int32_t *multiplier, const uint8_t *shift, int8_t *y, int8_t *row,
                                    int32_t bits) {
    const int32_t n = p->in_features;
    for (int32_t first = 0; first < p->rows; first += ES_ROWS_TOGETHER) {
        const int32_t rest = p->rows - first, end = first + (rest < ES_ROWS_TOGETHER ? rest : ES_ROWS_TOGETHER);
        for (int32_t o = 0; o < p->out_features; o++) {
            es_unpack(w + o * es_code_bytes(n, bits), n, bits, row);
            for (int32_t i = first; i < end; i++) {
                const int32_t acc = es_signed((uint32_t)b[o] + es_dot(x + i * n, row, n, 0));
                const int64_t scaled = p->y_zero + es_requant(acc, multiplier[o], shift[o]);
                y[i * p->out_features + o] = es_clamp8(scaled, p->low, p->high);
            }
        }
    }
}

#endif

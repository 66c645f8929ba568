/* What the plain kernels on signs share: one pixel at a time, sums by XOR and counted bits. */
#ifndef EDGESMITH_SIGNS_H
#define EDGESMITH_SIGNS_H

#include "edgesmith_binary.h"
#include "edgesmith_fixed.h"

/* Bits that are set: sums of neighbours in 2, 4 and 8 bits, then all bytes by one multiplication. */
static inline int32_t es_count_bits(uint32_t v) {
    v -= (v >> 1) & 0x55555555u;
    v = (v & 0x33333333u) + ((v >> 2) & 0x33333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0fu;
    return (int32_t)((v * 0x01010101u) >> 24);
}

/* Words of a cell. */
static inline int32_t es_sign_words(int32_t channels) { return (channels + 31) / 32; }

/* The cell that tap (ky, kx) of output (oy, ox) reads; NULL outside x. */
static inline const uint32_t *es_sign_cell(const es_binary_conv2d_params *p, const uint32_t *x, int32_t oy, int32_t ox,
                                           int32_t ky, int32_t kx) {
    const int32_t iy = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
    const int32_t ix = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
    const int inside = iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w;
    return inside ? x + (iy * p->in_w + ix) * es_sign_words(p->in_c) : NULL;
}

/* Sum of the products of output (oy, ox) for the weights w of one channel, as signs. */
static inline int32_t es_sign_sum(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *w, int32_t oy,
                                  int32_t ox) {
    const int32_t words = es_sign_words(p->in_c);
    const uint32_t last = 0xffffffffu >> (32 * words - p->in_c);
    int32_t differing = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        for (int32_t kx = 0; kx < p->kernel_w; kx++, w += words) {
            const uint32_t *cell = es_sign_cell(p, x, oy, ox, ky, kx);
            for (int32_t i = 0; i < words; i++) {
                const uint32_t other = (cell != NULL ? cell[i] : 0) ^ w[i];
                differing += es_count_bits(i == words - 1 ? other & last : other);
            }
        }
    }
    return p->kernel_h * p->kernel_w * p->in_c - 2 * differing;
}

/* Puts a channel's bit into the cell y. */
static inline void es_put_sign(uint32_t *y, int32_t channel, int set) {
    y[channel / 32] |= (uint32_t)(set != 0) << (channel % 32);
}

/* A sum as int8: eight bits of fraction, then the bias. */
static inline int8_t es_sign_requant(const es_binary_conv2d_params *p, int32_t sum, int32_t b, int32_t multiplier,
                                     int32_t shift) {
    const int32_t acc = es_signed((uint32_t)sum * 256u + (uint32_t)b);
    return es_clamp8(p->y_zero + es_requant(acc, multiplier, shift), p->low, p->high);
}

#endif

/* Kernels on int8 whose weights have four (w4) or two (w2) bits. Shapes, arithmetic and everything but w are those of
 * the int8 kernels (edgesmith_integer.h). A weight w of b bits is the code w + 2^(b-1), codes lie side by side in bytes,
 * the first in the lowest bits. In reference/ each output channel begins on a byte of its own; depthwise weights,
 * (kernel_h, kernel_w, out_c), are one row. */
#ifndef EDGESMITH_PACKED_H
#define EDGESMITH_PACKED_H

#include "edgesmith_integer.h"

size_t es_conv2d_s8_w4_scratch(const es_conv2d_s8_params *p);
void es_conv2d_s8_w4(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                     const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);
size_t es_conv2d_s8_w2_scratch(const es_conv2d_s8_params *p);
void es_conv2d_s8_w2(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                     const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);

size_t es_depthwise_conv2d_s8_w4_scratch(const es_conv2d_s8_params *p);
void es_depthwise_conv2d_s8_w4(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                               const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);
size_t es_depthwise_conv2d_s8_w2_scratch(const es_conv2d_s8_params *p);
void es_depthwise_conv2d_s8_w2(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                               const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);

size_t es_linear_s8_w4_scratch(const es_linear_s8_params *p);
void es_linear_s8_w4(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                     const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);
size_t es_linear_s8_w2_scratch(const es_linear_s8_params *p);
void es_linear_s8_w2(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                     const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);

/* Weight i of a row of codes; bits is 8 for weights that are bytes themselves. */
static inline int8_t es_code(const int8_t *w, int32_t i, int32_t bits) {
    if (bits == 8) return w[i];
    const int32_t at = i * bits;
    return (int8_t)((((uint8_t)w[at >> 3] >> (at & 7)) & ((1 << bits) - 1)) - (1 << (bits - 1)));
}

/* n weights of a row of codes as bytes. */
static inline void es_unpack(const int8_t *w, int32_t n, int32_t bits, int8_t *to) {
    for (int32_t i = 0; i < n; i++) to[i] = es_code(w, i, bits);
}

/* Bytes of a row of n codes. */
static inline int32_t es_code_bytes(int32_t n, int32_t bits) { return (n * bits + 7) / 8; }

#endif

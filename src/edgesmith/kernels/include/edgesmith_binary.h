/* Kernels on tensors of signs (docs/numbers.md, Signs): one bit each, 32 channels to a word, channel c in bit c % 32 of
 * word c / 32; bits beyond the last channel are 0. */
#ifndef EDGESMITH_BINARY_H
#define EDGESMITH_BINARY_H

#include <stddef.h>
#include <stdint.h>

/* binarize: rows of `columns` values to words; bit 1 where x >= zero. */
typedef struct {
    int32_t rows, columns, zero;
} es_binarize_params;

void es_binarize_s8(const es_binarize_params *p, const int8_t *x, uint32_t *y, void *scratch);
void es_binarize_u8(const es_binarize_params *p, const uint8_t *x, uint32_t *y, void *scratch);

/* Convolutions of x (in_h, in_w, words of in_c); a cell outside x has all bits 0. y (out_h, out_w, words of out_c), or
 * (out_h, out_w, out_c) of int8. y_zero, low, high are read by the forms that make int8; depth by those with a tree:
 * its greatest level. */
typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
    int32_t depth, y_zero, low, high;
} es_binary_conv2d_params;

/* w (out_c, kernel_h, kernel_w, words of in_c); threshold, b, multiplier, shift (out_c). */
size_t es_binary_conv2d_scratch(const es_binary_conv2d_params *p);
void es_binary_conv2d(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *w, const int32_t *threshold,
                      uint32_t *y, void *scratch);
size_t es_binary_conv2d_s8_scratch(const es_binary_conv2d_params *p);
void es_binary_conv2d_s8(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *w, const int32_t *b,
                         const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);

/* root (kernel_h, kernel_w, words of in_c); tree: the root's number, then for every other channel its number, level,
 * count, and `count` entries of 2 * cell + bit, cell = (ky * kernel_w + kx) * in_c + c. */
size_t es_mst_conv2d_scratch(const es_binary_conv2d_params *p);
void es_mst_conv2d(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *root, const uint16_t *tree,
                   const int32_t *threshold, uint32_t *y, void *scratch);
size_t es_mst_conv2d_s8_scratch(const es_binary_conv2d_params *p);
void es_mst_conv2d_s8(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *root, const uint16_t *tree,
                      const int32_t *b, const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);

#endif

/* Kernels of edgesmith: one function per op kind, es_<kind>; the arithmetic is docs/numbers.md.
 *
 * Every kernel takes its parameters, the op's inputs in the spec's order, its outputs, and a scratch block owned by
 * the caller: es_<kind>_scratch(p) bytes, 16-byte aligned, contents undefined. No heap, no global state.
 * Activations are NHWC with batch one. Reference, Cortex-M and x86 versions share these signatures.
 */
#ifndef EDGESMITH_KERNELS_H
#define EDGESMITH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* conv2d_s8. x (in_h, in_w, in_c); w (out_c, kernel_h, kernel_w, in_c / groups); b, multiplier, shift (out_c); y (out_h,
 * out_w, out_c). b holds the folded zero point; a cell outside x reads as x_zero.
 * depthwise_conv2d_s8 is the case groups = in_c, with w transposed by the emitter to (kernel_h, kernel_w, out_c). */
typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups;
    int32_t x_zero, y_zero, low, high;
} es_conv2d_s8_params;

size_t es_conv2d_s8_scratch(const es_conv2d_s8_params *p);
void es_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);

size_t es_depthwise_conv2d_s8_scratch(const es_conv2d_s8_params *p);
void es_depthwise_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);

/* linear_s8. x (rows, in_features); w (out_features, in_features); y (rows, out_features). */
typedef struct {
    int32_t rows, in_features, out_features, y_zero, low, high;
} es_linear_s8_params;

size_t es_linear_s8_scratch(const es_linear_s8_params *p);
void es_linear_s8(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);

#endif

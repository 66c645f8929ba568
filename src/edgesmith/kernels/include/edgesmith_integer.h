/* Kernels on int8 (see edgesmith_kernels.h). multiplier and shift requantize, one entry per output channel where they
 * are arrays; low and high bound the output. */
#ifndef EDGESMITH_INTEGER_H
#define EDGESMITH_INTEGER_H

#include <stddef.h>
#include <stdint.h>

#include "edgesmith_strides.h"

/* conv2d_s8. x (in_h, in_w, in_c); w (out_c, kernel_h, kernel_w, in_c / groups); b, multiplier, shift (out_c);
 * y (out_h, out_w, out_c). b holds the folded zero point; a cell outside x reads as x_zero.
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

/* conv_transpose2d_s8. Shapes as conv2d_s8; b is not folded: x_zero is subtracted from every cell read. */
void es_conv_transpose2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);

/* linear_s8. x (rows, in_features); w (out_features, in_features); y (rows, out_features). */
typedef struct {
    int32_t rows, in_features, out_features, y_zero, low, high;
} es_linear_s8_params;

size_t es_linear_s8_scratch(const es_linear_s8_params *p);
void es_linear_s8(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch);

/* matmul_s8. For each of the batch cells, at offsets by the strides of a and b: a (rows, inner), b (inner, columns),
 * where element (k, n) of b lies at k * b_row + n * b_column; y (batch, rows, columns). */
typedef struct {
    int32_t rank, size[ES_MAX_RANK], a_stride[ES_MAX_RANK], b_stride[ES_MAX_RANK];
    int32_t rows, inner, columns, b_row, b_column;
    int32_t a_zero, b_zero, multiplier, shift, y_zero, low, high;
} es_matmul_s8_params;

void es_matmul_s8(const es_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch);

/* add_s8: short form, one rounding. mul_s8, div_s8: multiplier and shift as in docs/numbers.md. Operands are read by
 * strides (0 repeats), y is contiguous and may be a or b where their strides are y's own. */
typedef struct {
    int32_t rank, size[ES_MAX_RANK], a_stride[ES_MAX_RANK], b_stride[ES_MAX_RANK];
    int32_t a_zero, b_zero, a_multiplier, b_multiplier, shift, y_zero, low, high;
} es_add_s8_params;

typedef struct {
    int32_t rank, size[ES_MAX_RANK], a_stride[ES_MAX_RANK], b_stride[ES_MAX_RANK];
    int32_t a_zero, b_zero, multiplier, shift, y_zero, low, high;
} es_mul_s8_params;

void es_add_s8(const es_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch);
void es_mul_s8(const es_mul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch);
void es_div_s8(const es_mul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch);

/* rescale_s8: n elements into another format, short form. y may be x. */
typedef struct {
    int32_t n, x_zero, multiplier, shift, y_zero, low, high;
} es_rescale_s8_params;

void es_rescale_s8(const es_rescale_s8_params *p, const int8_t *x, int8_t *y, void *scratch);

/* lookup: rows x columns elements through 256-entry tables; table_stride is 256 with one table per column, 0 with one
 * for all. x is int8 or uint8; the index is its byte. y may be x. */
typedef struct {
    int32_t rows, columns, table_stride;
} es_lookup_params;

void es_lookup(const es_lookup_params *p, const void *x, const int8_t *table, int8_t *y, void *scratch);

/* Pooling windows over x (in_h, in_w, channels). avg_pool2d_s8: multiplier, shift hold entry n - 1 for n counted cells;
 * count_all counts every cell of the window, inside or not. */
typedef struct {
    int32_t in_h, in_w, channels, out_h, out_w;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
    int32_t count_all, x_zero, y_zero, low, high;
} es_pool2d_params;

void es_avg_pool2d_s8(const es_pool2d_params *p, const int8_t *x, const int32_t *multiplier, const uint8_t *shift,
                      int8_t *y, void *scratch);
void es_max_pool2d_s8(const es_pool2d_params *p, const int8_t *x, int8_t *y, void *scratch);
void es_max_pool2d_u8(const es_pool2d_params *p, const uint8_t *x, uint8_t *y, void *scratch);
void es_max_pool2d_s16(const es_pool2d_params *p, const int16_t *x, int16_t *y, void *scratch);
void es_max_pool2d_s32(const es_pool2d_params *p, const int32_t *x, int32_t *y, void *scratch);

/* Reductions: y has one element per cell of the kept axes; each takes in all cells of the reduced axes. */
typedef struct {
    int32_t kept_rank, kept_size[ES_MAX_RANK], kept_stride[ES_MAX_RANK];
    int32_t rank, size[ES_MAX_RANK], stride[ES_MAX_RANK];
    int32_t x_zero, multiplier, shift, y_zero, low, high;
} es_reduce_params;

void es_reduce_sum_s8(const es_reduce_params *p, const int8_t *x, int8_t *y, void *scratch);
void es_reduce_max_s8(const es_reduce_params *p, const int8_t *x, int8_t *y, void *scratch);
void es_reduce_max_u8(const es_reduce_params *p, const uint8_t *x, uint8_t *y, void *scratch);
void es_reduce_max_s16(const es_reduce_params *p, const int16_t *x, int16_t *y, void *scratch);
void es_reduce_max_s32(const es_reduce_params *p, const int32_t *x, int32_t *y, void *scratch);

/* softmax_s8 over rows of n; table of 256: exp of the distance to the row's largest. y may be x. */
typedef struct {
    int32_t rows, n;
} es_softmax_s8_params;

void es_softmax_s8(const es_softmax_s8_params *p, const int8_t *x, const uint32_t *table, int8_t *y, void *scratch);

/* layer_norm_s8, rms_norm_s8 over rows of n; gamma, beta (n). x_zero is read by rms_norm_s8 only. y may be x. */
typedef struct {
    int32_t rows, n, x_zero;
    int64_t eps;
    int32_t multiplier, shift, y_zero, low, high;
} es_norm_s8_params;

void es_layer_norm_s8(const es_norm_s8_params *p, const int8_t *x, const int16_t *gamma, const int32_t *beta, int8_t *y,
                      void *scratch);
void es_rms_norm_s8(const es_norm_s8_params *p, const int8_t *x, const int16_t *gamma, const int32_t *beta, int8_t *y,
                    void *scratch);

/* quantize rows x columns floats; step is 1 with one a and b per column, 0 with one for all. */
typedef struct {
    int32_t rows, columns, step;
} es_quantize_params;

void es_quantize(const es_quantize_params *p, const float *x, const float *a, const float *b, int8_t *y, void *scratch);

/* dequantize n integers. */
typedef struct {
    int32_t n, zero;
    float scale;
} es_dequantize_params;

void es_dequantize_s8(const es_dequantize_params *p, const int8_t *x, float *y, void *scratch);
void es_dequantize_u8(const es_dequantize_params *p, const uint8_t *x, float *y, void *scratch);
void es_dequantize_s16(const es_dequantize_params *p, const int16_t *x, float *y, void *scratch);
void es_dequantize_s32(const es_dequantize_params *p, const int32_t *x, float *y, void *scratch);

#endif

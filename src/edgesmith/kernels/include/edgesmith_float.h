/* Kernels on float (see edgesmith_kernels.h). Sums run in index order; low and high bound the output. */
#ifndef EDGESMITH_FLOAT_H
#define EDGESMITH_FLOAT_H

#include <stddef.h>
#include <stdint.h>

#include "edgesmith_integer.h"
#include "edgesmith_strides.h"

/* A NaN stays one. */
static inline float es_clamp_float(float v, float low, float high) {
    return v < low ? low : v > high ? high : v;
}

/* conv2d, conv_transpose2d. x (in_h, in_w, in_c); w (out_c, kernel_h, kernel_w, in_c / groups); b (out_c);
 * y (out_h, out_w, out_c). A cell outside x is 0. */
typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups;
    float low, high;
} es_conv2d_params;

void es_conv2d(const es_conv2d_params *p, const float *x, const float *w, const float *b, float *y, void *scratch);
void es_conv_transpose2d(const es_conv2d_params *p, const float *x, const float *w, const float *b, float *y,
                         void *scratch);

/* linear. x (rows, in_features); w (out_features, in_features); y (rows, out_features). */
typedef struct {
    int32_t rows, in_features, out_features;
    float low, high;
} es_linear_params;

void es_linear(const es_linear_params *p, const float *x, const float *w, const float *b, float *y, void *scratch);

/* matmul: the walk and sizes of es_matmul_s8_params. */
typedef struct {
    int32_t rank, size[ES_MAX_RANK], a_stride[ES_MAX_RANK], b_stride[ES_MAX_RANK];
    int32_t rows, inner, columns, b_row, b_column;
} es_matmul_params;

void es_matmul(const es_matmul_params *p, const float *a, const float *b, float *y, void *scratch);

/* Arithmetic on elements. Operands are read by strides (0 repeats), y is contiguous and may be an operand whose strides
 * are y's own. */
typedef struct {
    int32_t rank, size[ES_MAX_RANK], a_stride[ES_MAX_RANK], b_stride[ES_MAX_RANK];
    float low, high;
} es_arithmetic_params;

void es_add(const es_arithmetic_params *p, const float *a, const float *b, float *y, void *scratch);
void es_sub(const es_arithmetic_params *p, const float *a, const float *b, float *y, void *scratch);
void es_mul(const es_arithmetic_params *p, const float *a, const float *b, float *y, void *scratch);
void es_div(const es_arithmetic_params *p, const float *a, const float *b, float *y, void *scratch);

/* Functions of each of n elements; y may be x. */
typedef struct {
    int32_t n;
} es_unary_params;

void es_hardswish(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_hardsigmoid(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_sigmoid(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_tanh(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_gelu(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_gelu_tanh(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_silu(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_sqrt(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_rsqrt(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_exp(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_log(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_abs(const es_unary_params *p, const float *x, float *y, void *scratch);
void es_neg(const es_unary_params *p, const float *x, float *y, void *scratch);

typedef struct {
    int32_t n;
    float low, high;
} es_clamp_params;

void es_clamp(const es_clamp_params *p, const float *x, float *y, void *scratch);

typedef struct {
    int32_t n;
    float slope;
} es_leaky_relu_params;

void es_leaky_relu(const es_leaky_relu_params *p, const float *x, float *y, void *scratch);

/* Pooling and reductions: parameters as for integers, whose zero points and multipliers are not read. */
void es_avg_pool2d(const es_pool2d_params *p, const float *x, float *y, void *scratch);
void es_max_pool2d_f32(const es_pool2d_params *p, const float *x, float *y, void *scratch);
void es_reduce_sum(const es_reduce_params *p, const float *x, float *y, void *scratch);
void es_reduce_mean(const es_reduce_params *p, const float *x, float *y, void *scratch);
void es_reduce_max_f32(const es_reduce_params *p, const float *x, float *y, void *scratch);

/* Over rows of n: softmax; layer_norm and rms_norm with gamma, beta (n); affine with scale, shift (n). y may be x. */
typedef struct {
    int32_t rows, n;
    float eps;
} es_rows_params;

void es_softmax(const es_rows_params *p, const float *x, float *y, void *scratch);
void es_layer_norm(const es_rows_params *p, const float *x, const float *gamma, const float *beta, float *y,
                   void *scratch);
void es_rms_norm(const es_rows_params *p, const float *x, const float *gamma, float *y, void *scratch);
void es_affine(const es_rows_params *p, const float *x, const float *scale, const float *shift, float *y,
               void *scratch);

#endif

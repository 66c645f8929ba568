/* Kernels of attention and activation without tables or with small ones (see edgesmith_kernels.h): the integer forms
 * of I-ViT and Edge-MoE, and their float functions. Formulas: docs/numbers.md, Shift forms and Single pass. */
#ifndef EDGESMITH_ATTENTION_H
#define EDGESMITH_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "edgesmith_float.h"
#include "edgesmith_integer.h"

size_t es_matmul_s8_scratch(const es_matmul_s8_params *p);

/* shiftmax_s8 over rows of n, at most 4095; exp_multiplier and exp_shift bring a distance to 1/1024. y may be x. */
typedef struct {
    int32_t rows, n, exp_multiplier, exp_shift;
} es_shiftmax_s8_params;

void es_shiftmax_s8(const es_shiftmax_s8_params *p, const int8_t *x, int8_t *y, void *scratch);

/* single_pass_softmax_s8: as softmax_s8; table[0] is 1 << unit_bits and its largest entry. y may be x. */
typedef struct {
    int32_t rows, n, unit_bits;
} es_single_pass_softmax_s8_params;

void es_single_pass_softmax_s8(const es_single_pass_softmax_s8_params *p, const int8_t *x, const uint32_t *table,
                               int8_t *y, void *scratch);

/* shift_gelu_s8 over rows of n; x above `limit` counts as it. y may be x. */
typedef struct {
    int32_t rows, n, x_zero, limit, exp_multiplier, exp_shift, multiplier, shift, y_zero, low, high;
} es_shift_gelu_s8_params;

void es_shift_gelu_s8(const es_shift_gelu_s8_params *p, const int8_t *x, int8_t *y, void *scratch);

/* gelu_delta_s8 of n elements; table of 161: distance of GELU from ReLU in Q16, every 1/32. y may be x. */
typedef struct {
    int32_t n, x_zero, exp_multiplier, exp_shift, relu_multiplier, relu_shift, multiplier, shift, y_zero, low, high;
} es_gelu_delta_s8_params;

void es_gelu_delta_s8(const es_gelu_delta_s8_params *p, const int8_t *x, const uint16_t *table, int8_t *y,
                      void *scratch);

/* i_layer_norm_s8 over rows of n, at most 2048; gamma, beta (n); x is shifted left by `fraction`. y may be x. */
typedef struct {
    int32_t rows, n, fraction, multiplier, shift, y_zero, low, high;
} es_i_layer_norm_s8_params;

void es_i_layer_norm_s8(const es_i_layer_norm_s8_params *p, const int8_t *x, const int16_t *gamma, const int32_t *beta,
                        int8_t *y, void *scratch);

/* argmax over rows of n, at most 256: y (rows). */
typedef struct {
    int32_t rows, n;
} es_argmax_params;

void es_argmax_f32(const es_argmax_params *p, const float *x, uint8_t *y, void *scratch);
void es_argmax_s8(const es_argmax_params *p, const int8_t *x, uint8_t *y, void *scratch);

/* shiftmax over rows of n, float. y may be x. */
void es_shiftmax(const es_rows_params *p, const float *x, float *y, void *scratch);

/* shift_gelu over rows of n, float; x above `limit` counts as it. y may be x. */
typedef struct {
    int32_t rows, n;
    float limit;
} es_shift_gelu_params;

void es_shift_gelu(const es_shift_gelu_params *p, const float *x, float *y, void *scratch);

#endif

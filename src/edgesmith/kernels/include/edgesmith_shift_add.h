/* Layers without multiplications (docs/numbers.md, "Shifts and additions"). */
#ifndef EDGESMITH_SHIFT_ADD_H
#define EDGESMITH_SHIFT_ADD_H

#include <stddef.h>
#include <stdint.h>

/* shift_add_conv2d_s8. x (in_h, in_w, in_c); codes (out_c, kernel_h, kernel_w, in_per), a byte a weight; b (out_c);
 * y (out_h, out_w, out_c); in_per = in_c / groups, out_per = out_c / groups. Whatever would take a product to find is
 * given: `first` is the offset in x of the first window's first cell, below zero where it is padding; the others are
 * the offsets from one output row, output column, kernel row and kernel column to the next. */
typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups;
    int32_t in_per, out_per, first, row_step, column_step, tap_row_step, tap_column_step;
    int32_t x_zero, shift, y_zero, low, high;
} es_shift_add_conv2d_s8_params;

void es_shift_add_conv2d_s8(const es_shift_add_conv2d_s8_params *p, const int8_t *x, const uint8_t *codes,
                            const int32_t *b, int8_t *y, void *scratch);

/* shift_add_s8. a, b and y of n cells; y may be a or b. */
typedef struct {
    int32_t n, a_zero, b_zero, a_left, b_left, shift, y_zero, low, high;
} es_shift_add_s8_params;

void es_shift_add_s8(const es_shift_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch);

#endif

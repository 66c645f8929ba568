/* add, sub, mul, div in plain C, float, operands read by strides. */
#include "edgesmith_float.h"

#define ARITHMETIC(NAME, OPERATOR)                                                                                 \
    void es_##NAME(const es_arithmetic_params *p, const float *a, const float *b, float *y, void *scratch) {       \
        const int32_t last = p->rank - 1, rows = es_cells(last, p->size);                                          \
        const int32_t a_step = p->a_stride[last], b_step = p->b_stride[last];                                      \
        (void)scratch;                                                                                             \
        for (int32_t row = 0; row < rows; row++) {                                                                 \
            const float *left = a + es_offset(row, last, p->size, p->a_stride);                                    \
            const float *right = b + es_offset(row, last, p->size, p->b_stride);                                   \
            for (int32_t i = 0; i < p->size[last]; i++, left += a_step, right += b_step) {                         \
                *y++ = es_clamp_float(*left OPERATOR *right, p->low, p->high);                                     \
            }                                                                                                      \
        }                                                                                                          \
    }

ARITHMETIC(add, +)
ARITHMETIC(sub, -)
ARITHMETIC(mul, *)
ARITHMETIC(div, /)

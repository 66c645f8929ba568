/* add, sub, mul, div in plain C, float, operands read by strides. */
#include "edgesmith_float.h"

#define ARITHMETIC(NAME, OPERATOR)                                                                                 \
    static inline void row_##NAME(const es_arithmetic_params *p, const float *a, int32_t a_step, const float *b,   \
                                  int32_t b_step, float *y, int32_t n) {                                           \
        for (int32_t i = 0; i < n; i++) {                                                                          \
            y[i] = es_clamp_float(a[i * a_step] OPERATOR b[i * b_step], p->low, p->high);                          \
        }                                                                                                          \
    }                                                                                                              \
    void es_##NAME(const es_arithmetic_params *p, const float *a, const float *b, float *y, void *scratch) {       \
        const int32_t last = p->rank - 1, rows = es_cells(last, p->size), n = p->size[last];                       \
        const int32_t a_step = p->a_stride[last], b_step = p->b_stride[last];                                      \
        (void)scratch;                                                                                             \
        for (int32_t row = 0; row < rows; row++, y += n) {                                                         \
            const float *left = a + es_offset(row, last, p->size, p->a_stride);                                    \
            const float *right = b + es_offset(row, last, p->size, p->b_stride);                                   \
            if (a_step == 1 && b_step == 1) {                                                                      \
                row_##NAME(p, left, 1, right, 1, y, n); /* known steps: vectors where the target has them */       \
            } else {                                                                                               \
                row_##NAME(p, left, a_step, right, b_step, y, n);                                                  \
            }                                                                                                      \
        }                                                                                                          \
    }

ARITHMETIC(add, +)
ARITHMETIC(sub, -)
ARITHMETIC(mul, *)
ARITHMETIC(div, /)

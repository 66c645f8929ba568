/* shift_add_conv2d_s8 in plain C: weights are two signed powers of two in a byte, so that a product is two shifts and
 * additions; cells are found by additions too. Shapes and steps: edgesmith_shift_add.h; arithmetic: docs/numbers.md.
 * Source: arXiv:2401.17544 (multiplier-free weights). */
#include "edgesmith_fixed.h"
#include "edgesmith_shift_add.h"

/* v times one term: nothing, or 2^(exponent - 1) with a sign. */
static inline uint32_t term(uint32_t v, uint32_t nibble) {
    const uint32_t exponent = nibble & 7u;
    const uint32_t shifted = exponent == 0 ? 0 : v << (exponent - 1);
    return (nibble & 8u) != 0 ? 0u - shifted : shifted;
}

static inline uint32_t product(int32_t v, uint32_t code) {
    return term((uint32_t)v, code & 15u) + term((uint32_t)v, code >> 4);
}

/* v / 2^n, halves up, for any v: no carry leaves 32 bits; v * 2^-n for n below zero. */
static inline int64_t rounded(int32_t v, int32_t n) {
    if (n < 0) return (int64_t)((uint64_t)(int64_t)v << -n);
    return n == 0 ? v : (v >> n) + ((v >> (n - 1)) & 1);
}

void es_shift_add_conv2d_s8(const es_shift_add_conv2d_s8_params *p, const int8_t *x, const uint8_t *codes,
                            const int32_t *b, int8_t *y, void *scratch) {
    int32_t row = p->first, iy0 = -p->pad_top;
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++, row += p->row_step, iy0 += p->stride_h) {
        int32_t window = row, ix0 = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ox++, window += p->column_step, ix0 += p->stride_w) {
            const uint8_t *code = codes;
            const int32_t *bias = b;
            int32_t start = window;
            for (int32_t g = 0; g < p->groups; g++, start += p->in_per) {
                for (int32_t o = 0; o < p->out_per; o++) {
                    uint32_t sum = (uint32_t)*bias++;
                    int32_t tap_row = start, iy = iy0;
                    for (int32_t ky = 0; ky < p->kernel_h; ky++, tap_row += p->tap_row_step, iy += p->dilation_h) {
                        int32_t tap = tap_row, ix = ix0;
                        for (int32_t kx = 0; kx < p->kernel_w; kx++, tap += p->tap_column_step, ix += p->dilation_w) {
                            const int inside = iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w;
                            const int8_t *cell = inside ? x + tap : NULL;
                            for (int32_t c = 0; c < p->in_per; c++) {
                                sum += product(cell != NULL ? cell[c] : p->x_zero, *code++);
                            }
                            __asm__("" : "+r"(code)); /* else compilers find where a row of codes ends by a product */
                        }
                    }
                    *y++ = es_clamp8(rounded(es_signed(sum), p->shift) + p->y_zero, p->low, p->high);
                }
            }
        }
    }
}

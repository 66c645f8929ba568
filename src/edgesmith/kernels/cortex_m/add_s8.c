/* add_s8 for Cortex-M: short form, one rounding (docs/numbers.md), zero points and rounding in one constant. Bit-equal
 * to reference/; y may be a or b where their strides are y's own. */
#include "cortex_m_requant.h"
#include "edgesmith_integer.h"

/* What a row of outputs needs: y = saturate(y_zero + ((a * a_multiplier + b * b_multiplier + constant) >> shift)). */
typedef struct {
    int32_t a_multiplier, b_multiplier, constant, shift, y_zero;
} formula;

static formula formula_of(const es_add_s8_params *p) {
    const int32_t half = p->shift == 0 ? 0 : (int32_t)(1u << (p->shift - 1));
    const int32_t constant = half - p->a_zero * p->a_multiplier - p->b_zero * p->b_multiplier;
    const formula f = {p->a_multiplier, p->b_multiplier, constant, p->shift, p->y_zero};
    return f;
}

static inline int8_t apply(formula f, int32_t a, int32_t b) {
    const uint32_t sum = (uint32_t)f.constant + (uint32_t)(a * f.a_multiplier) + (uint32_t)(b * f.b_multiplier);
    return es_saturate(((int32_t)sum >> f.shift) + f.y_zero);
}

static __attribute__((noinline)) void add_neighbours(formula f, const int8_t *a, const int8_t *b, int8_t *y,
                                                     int32_t n) {
    for (; n >= 4; n -= 4, a += 4, b += 4, y += 4) {
        y[0] = apply(f, a[0], b[0]);
        y[1] = apply(f, a[1], b[1]);
        y[2] = apply(f, a[2], b[2]);
        y[3] = apply(f, a[3], b[3]);
    }
    for (; n > 0; n--) *y++ = apply(f, *a++, *b++);
}

ES_COMPACT void es_add_s8(const es_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch) {
    const formula f = formula_of(p);
    const int32_t last = p->rank - 1, rows = es_cells(last, p->size), n = p->size[last];
    const int32_t a_step = p->a_stride[last], b_step = p->b_stride[last];
    (void)scratch;
    for (int32_t row = 0; row < rows; row++, y += n) {
        const int8_t *left = a + es_offset(row, last, p->size, p->a_stride);
        const int8_t *right = b + es_offset(row, last, p->size, p->b_stride);
        if (a_step == 1 && b_step == 1) {
            add_neighbours(f, left, right, y, n);
        } else {
            for (int32_t i = 0; i < n; i++, left += a_step, right += b_step) y[i] = apply(f, *left, *right);
        }
        es_clamp_all(y, n, p->low, p->high);
    }
}

/* add_s8 on x86-64: short form, one rounding (docs/numbers.md). Bit-equal to reference/. Neighbours are summed in
 * blocks beside y, since y may be a or b: no store can then change what is read next, and the compiler takes vectors,
 * once for each level. */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"
#include "x86_level.h"

enum { BLOCK = 128 };

ES_INLINE int8_t sum_of(const es_add_s8_params *p, int32_t a, int32_t b) {
    const int32_t sum = (a - p->a_zero) * p->a_multiplier + (b - p->b_zero) * p->b_multiplier;
    return es_clamp8(p->y_zero + es_rshift(sum, p->shift), p->low, p->high);
}

ES_INLINE void add_neighbours(const es_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n,
                              const int32_t level) {
    const es_add_s8_params local = *p; /* its members stay in registers */
    int8_t sums[BLOCK];
    (void)level;
    for (; n >= BLOCK; n -= BLOCK, a += BLOCK, b += BLOCK, y += BLOCK) {
        for (int32_t i = 0; i < BLOCK; i++) sums[i] = sum_of(&local, a[i], b[i]);
        __builtin_memcpy(y, sums, BLOCK);
    }
    for (int32_t i = 0; i < n; i++) y[i] = sum_of(&local, a[i], b[i]);
}

ES_X86_BODIES(add, add_neighbours, (const es_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n),
              (p, a, b, y, n))

void es_add_s8(const es_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch) {
    const int32_t last = p->rank - 1, rows = es_cells(last, p->size), n = p->size[last];
    const int32_t a_step = p->a_stride[last], b_step = p->b_stride[last];
    (void)scratch;
    for (int32_t row = 0; row < rows; row++, y += n) {
        const int8_t *left = a + es_offset(row, last, p->size, p->a_stride);
        const int8_t *right = b + es_offset(row, last, p->size, p->b_stride);
        if (a_step == 1 && b_step == 1) {
            add(p, left, right, y, n);
        } else {
            for (int32_t i = 0; i < n; i++) y[i] = sum_of(p, left[i * a_step], right[i * b_step]);
        }
    }
}

/* reduce_max in plain C for each element type; a NaN wins, as in numpy. */
#include "edgesmith_float.h"
#include "edgesmith_integer.h"

#define REDUCE(NAME, TYPE)                                                                                   \
    static TYPE most_##NAME(const es_reduce_params *p, const TYPE *x) {                                      \
        const int32_t last = p->rank - 1, rows = es_cells(last, p->size), step = p->stride[last];            \
        TYPE best = x[0];                                                                                    \
        for (int32_t row = 0; row < rows; row++) {                                                           \
            const TYPE *cell = x + es_offset(row, last, p->size, p->stride);                                 \
            for (int32_t i = 0; i < p->size[last]; i++, cell += step) {                                      \
                best = *cell > best || *cell != *cell ? *cell : best;                                        \
            }                                                                                                \
        }                                                                                                    \
        return best;                                                                                         \
    }                                                                                                        \
    void es_reduce_max_##NAME(const es_reduce_params *p, const TYPE *x, TYPE *y, void *scratch) {            \
        const int32_t kept = es_cells(p->kept_rank, p->kept_size);                                           \
        (void)scratch;                                                                                       \
        for (int32_t i = 0; i < kept; i++) {                                                                 \
            y[i] = most_##NAME(p, x + es_offset(i, p->kept_rank, p->kept_size, p->kept_stride));             \
        }                                                                                                    \
    }

REDUCE(f32, float)
REDUCE(s8, int8_t)
REDUCE(u8, uint8_t)
REDUCE(s16, int16_t)
REDUCE(s32, int32_t)

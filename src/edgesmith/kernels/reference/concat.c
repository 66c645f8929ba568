/* concat: rows of several inputs, one after another. */
#include "edgesmith_movement.h"

void es_concat(const es_concat_params *p, const void *const *xs, const int32_t *row_bytes, void *y, void *scratch) {
    uint8_t *to = y;
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t i = 0; i < p->count; i++) {
            const uint8_t *from = xs[i];
            __builtin_memcpy(to, from + row * row_bytes[i], (size_t)row_bytes[i]);
            to += row_bytes[i];
        }
    }
}

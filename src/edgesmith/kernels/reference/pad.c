/* pad: fill y, then write x into its place. */
#include "edgesmith_movement.h"

static void fill(const es_pad_params *p, uint8_t *y) {
    if (p->element_bytes == 1) {
        __builtin_memset(y, p->value[0], (size_t)p->bytes);
        return;
    }
    for (int32_t i = 0; i < p->bytes; i++) y[i] = p->value[i % p->element_bytes];
}

void es_pad(const es_pad_params *p, const void *x, void *y, void *scratch) {
    const int32_t units = es_cells(p->rank, p->size), unit = p->unit_bytes;
    const uint8_t *from = x;
    uint8_t *to = y;
    (void)scratch;
    fill(p, to);
    for (int32_t i = 0; i < units; i++) {
        const int32_t offset = p->start + es_offset(i, p->rank, p->size, p->stride);
        __builtin_memcpy(to + offset, from + i * unit, (size_t)unit);
    }
}

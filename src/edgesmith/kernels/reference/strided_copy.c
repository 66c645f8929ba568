/* Values of any type in another order or repeated: permute, slice, expand, upsample_nearest. */
#include "edgesmith_movement.h"

/* n units from x, `step` bytes apart, to y; a constant size becomes a plain load and store. */
static void copy_units(const uint8_t *x, int32_t step, uint8_t *y, int32_t n, int32_t unit) {
    switch (unit) {
    case 1:
        for (int32_t i = 0; i < n; i++) y[i] = x[i * step];
        break;
    case 2:
        for (int32_t i = 0; i < n; i++) __builtin_memcpy(y + 2 * i, x + i * step, 2);
        break;
    case 4:
        for (int32_t i = 0; i < n; i++) __builtin_memcpy(y + 4 * i, x + i * step, 4);
        break;
    default:
        for (int32_t i = 0; i < n; i++) __builtin_memcpy(y + unit * i, x + i * step, (size_t)unit);
    }
}

void es_strided_copy(const es_strided_copy_params *p, const void *x, void *y, void *scratch) {
    const int32_t last = p->rank - 1, rows = es_cells(last, p->size), n = p->size[last], unit = p->unit_bytes;
    const uint8_t *from = x;
    uint8_t *to = y;
    (void)scratch;
    for (int32_t row = 0; row < rows; row++, to += n * unit) {
        const int32_t offset = p->start + es_offset(row, last, p->size, p->stride);
        copy_units(from + offset, p->stride[last], to, n, unit);
    }
}

/* Values of any type in another order on x86-64 (see reference/); bytes of three planes, which a picture has, are
 * taken together, and others without a division for each row. */
#include "edgesmith_movement.h"
#include "x86_level.h"

/* n places from three planes of bytes: a loop that compilers vectorize. */
ES_INLINE void weave(const uint8_t *x, int32_t plane, uint8_t *y, int32_t n, const int32_t level) {
    const uint8_t *red = x, *green = x + plane, *blue = x + 2 * plane;
    (void)level;
    for (int32_t i = 0; i < n; i++) {
        y[3 * i] = red[i];
        y[3 * i + 1] = green[i];
        y[3 * i + 2] = blue[i];
    }
}

ES_X86_BODIES(weave3, weave, (const uint8_t *x, int32_t plane, uint8_t *y, int32_t n), (x, plane, y, n))

/* n units from x, `step` bytes apart, to y; a constant size becomes a plain load and store. */
ES_INLINE void copy_units(const uint8_t *x, int32_t step, uint8_t *y, int32_t n, int32_t unit) {
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

/* The last two axes from x to y. */
static void copy_plane(const es_strided_copy_params *p, const uint8_t *x, uint8_t *y) {
    const int32_t last = p->rank - 1, n = p->size[last], unit = p->unit_bytes, step = p->stride[last];
    const int32_t rows = last > 0 ? p->size[last - 1] : 1, row_step = last > 0 ? p->stride[last - 1] : 0;
    if (unit == 1 && n == 3 && row_step == 1) {
        weave3(x, step, y, rows);
        return;
    }
    for (int32_t row = 0; row < rows; row++) copy_units(x + row * row_step, step, y + row * n * unit, n, unit);
}

void es_strided_copy(const es_strided_copy_params *p, const void *x, void *y, void *scratch) {
    const int32_t outer = p->rank > 2 ? p->rank - 2 : 0, planes = es_cells(outer, p->size);
    const int32_t bytes = es_cells(p->rank, p->size) / (planes > 0 ? planes : 1) * p->unit_bytes;
    (void)scratch;
    for (int32_t plane = 0; plane < planes; plane++) {
        const int32_t offset = p->start + es_offset(plane, outer, p->size, p->stride);
        copy_plane(p, (const uint8_t *)x + offset, (uint8_t *)y + plane * bytes);
    }
}

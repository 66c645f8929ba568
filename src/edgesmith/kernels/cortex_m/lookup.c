/* lookup for Cortex-M: four bytes at a time where one table serves all. Equal to reference/; y may be x. */
#include "edgesmith_integer.h"

static void look_up_all(const uint8_t *x, const int8_t *table, int8_t *y, int32_t n) {
    for (; n >= 4; n -= 4, x += 4, y += 4) {
        const int8_t y0 = table[x[0]], y1 = table[x[1]], y2 = table[x[2]], y3 = table[x[3]];
        y[0] = y0;
        y[1] = y1;
        y[2] = y2;
        y[3] = y3;
    }
    for (; n > 0; n--) *y++ = table[*x++];
}

void es_lookup(const es_lookup_params *p, const void *x, const int8_t *table, int8_t *y, void *scratch) {
    const uint8_t *index = x;
    (void)scratch;
    if (p->table_stride == 0) {
        look_up_all(index, table, y, p->rows * p->columns);
        return;
    }
    for (int32_t row = 0; row < p->rows; row++) {
        const int8_t *own = table;
        for (int32_t i = 0; i < p->columns; i++, own += p->table_stride) *y++ = own[*index++];
    }
}

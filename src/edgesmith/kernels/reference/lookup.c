/* lookup in plain C: y = table[byte of x]. */
#include "edgesmith_integer.h"

void es_lookup(const es_lookup_params *p, const void *x, const int8_t *table, int8_t *y, void *scratch) {
    const uint8_t *byte = x;
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++) {
        const int8_t *entries = table;
        for (int32_t c = 0; c < p->columns; c++, entries += p->table_stride) *y++ = entries[*byte++];
    }
}

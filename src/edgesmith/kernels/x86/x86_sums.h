/* Sums of int8 cells of neighbouring channels, a block of them at a time so that they stay in registers. */
#ifndef EDGESMITH_X86_SUMS_H
#define EDGESMITH_X86_SUMS_H

#include "x86_level.h"

#define ES_X86_SUMS 64

/* sums[c] += the n <= ES_X86_SUMS channels of `rows` rows of `columns` cells, at steps in bytes. */
ES_INLINE void es_x86_add_cells(int32_t *sums, const int8_t *x, int32_t rows, int32_t row, int32_t columns,
                                int32_t column, int32_t n, const int32_t level) {
    (void)level;
    for (int32_t iy = 0; iy < rows; iy++) {
        for (int32_t ix = 0; ix < columns; ix++) {
            const int8_t *cell = x + iy * row + ix * column;
            if (n == ES_X86_SUMS) {
                for (int32_t c = 0; c < ES_X86_SUMS; c++) sums[c] += cell[c];
            } else {
                for (int32_t c = 0; c < n; c++) sums[c] += cell[c];
            }
        }
    }
}

ES_X86_BODIES(es_x86_add, es_x86_add_cells,
              (int32_t * sums, const int8_t *x, int32_t rows, int32_t row, int32_t columns, int32_t column, int32_t n),
              (sums, x, rows, row, columns, column, n))

#endif

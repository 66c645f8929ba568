/* binarize in plain C. Layout: edgesmith_binary.h; arithmetic: docs/numbers.md, Signs. */
#include "edgesmith_binary.h"

#define BINARIZE(name, type)                                                                       \
    void name(const es_binarize_params *p, const type *x, uint32_t *y, void *scratch) {            \
        (void)scratch;                                                                             \
        for (int32_t row = 0; row < p->rows; row++) {                                              \
            for (int32_t first = 0; first < p->columns; first += 32) {                             \
                const int32_t count = p->columns - first < 32 ? p->columns - first : 32;           \
                uint32_t word = 0;                                                                 \
                for (int32_t i = 0; i < count; i++) word |= (uint32_t)(*x++ >= p->zero) << i;      \
                *y++ = word;                                                                       \
            }                                                                                      \
        }                                                                                          \
    }

BINARIZE(es_binarize_s8, int8_t)
BINARIZE(es_binarize_u8, uint8_t)

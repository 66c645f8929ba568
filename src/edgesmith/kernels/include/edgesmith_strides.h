/* Walking tensors by sizes and strides (in elements), outermost axis first. */
#ifndef EDGESMITH_STRIDES_H
#define EDGESMITH_STRIDES_H

#include <stdint.h>

#define ES_MAX_RANK 6

/* Offset of the index-th cell in row-major order of the first `rank` axes. */
static inline int32_t es_offset(int32_t index, int32_t rank, const int32_t *size, const int32_t *stride) {
    int32_t offset = 0;
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        offset += index % size[axis] * stride[axis];
        index /= size[axis];
    }
    return offset;
}

/* Cells of the first `rank` axes. */
static inline int32_t es_cells(int32_t rank, const int32_t *size) {
    int32_t cells = 1;
    for (int32_t axis = 0; axis < rank; axis++) cells *= size[axis];
    return cells;
}

#endif

/* Kernels that move stored values of any type and never change them (see edgesmith_kernels.h). */
#ifndef EDGESMITH_MOVEMENT_H
#define EDGESMITH_MOVEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "edgesmith_strides.h"

/* permute, slice, expand and upsample_nearest: y takes, in order, the units of x at start + the strides, all in
 * bytes; a unit is unit_bytes long. */
typedef struct {
    int32_t rank, size[ES_MAX_RANK], stride[ES_MAX_RANK], start, unit_bytes;
} es_strided_copy_params;

void es_strided_copy(const es_strided_copy_params *p, const void *x, void *y, void *scratch);

/* pad: y is `bytes` long and filled with the value's element_bytes bytes; then each unit of x, in order, is written at
 * start + the strides, all in bytes. */
typedef struct {
    int32_t rank, size[ES_MAX_RANK], stride[ES_MAX_RANK], start, unit_bytes, bytes, element_bytes;
    uint8_t value[8];
} es_pad_params;

void es_pad(const es_pad_params *p, const void *x, void *y, void *scratch);

/* concat: y is `rows` rows, each the rows of the `count` inputs one after another; row_bytes[i] of input i. */
typedef struct {
    int32_t rows, count;
} es_concat_params;

void es_concat(const es_concat_params *p, const void *const *xs, const int32_t *row_bytes, void *y, void *scratch);

/* embedding: rows of table, row_bytes each, by n indices; an index outside is taken to the nearest of table_rows. */
typedef struct {
    int32_t n, table_rows, row_bytes;
} es_embedding_params;

void es_embedding(const es_embedding_params *p, const int32_t *indices, const void *table, void *y, void *scratch);

#endif

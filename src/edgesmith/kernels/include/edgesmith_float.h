/* Kernels on float (see edgesmith_kernels.h). */
#ifndef EDGESMITH_FLOAT_H
#define EDGESMITH_FLOAT_H

#include <stddef.h>
#include <stdint.h>

#include "edgesmith_integer.h"
#include "edgesmith_strides.h"

void es_max_pool2d_f32(const es_pool2d_params *p, const float *x, float *y, void *scratch);
void es_reduce_max_f32(const es_reduce_params *p, const float *x, float *y, void *scratch);

#endif

/* Kernels of edgesmith: one function per op kind, es_<kind>; the arithmetic is docs/numbers.md.
 *
 * Every kernel takes its parameters, the op's inputs in the spec's order, its outputs, and a scratch block owned by
 * the caller: es_<kind>_scratch(p) bytes, 16-byte aligned, contents undefined; a kernel without that function uses
 * none. No heap, no global state. Activations are NHWC with batch one. The versions of all folders share these
 * signatures.
 */
#ifndef EDGESMITH_KERNELS_H
#define EDGESMITH_KERNELS_H

#include "edgesmith_attention.h"
#include "edgesmith_binary.h"
#include "edgesmith_classical.h"
#include "edgesmith_coded.h"
#include "edgesmith_float.h"
#include "edgesmith_integer.h"
#include "edgesmith_movement.h"
#include "edgesmith_packed.h"
#include "edgesmith_sequence.h"
#include "edgesmith_shift_add.h"

#endif

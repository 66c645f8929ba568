/* add_s8 on NEON: simd128_add_s8.h with the vectors of neon_lanes.h. */
#include "neon_lanes.h"

#include "simd128_add_s8.h"

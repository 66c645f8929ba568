/* conv2d_s8 on NEON: simd128_conv2d_s8.h with the vectors of neon_lanes.h. */
#include "neon_lanes.h"

#include "simd128_conv2d_s8.h"

/* avg_pool2d_s8 on NEON: simd128_avg_pool2d_s8.h with the vectors of neon_lanes.h. */
#include "neon_lanes.h"

#include "simd128_avg_pool2d_s8.h"

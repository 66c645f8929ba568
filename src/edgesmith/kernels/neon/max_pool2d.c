/* max_pool2d on NEON. */
#include "simd128_max_pool2d.h"

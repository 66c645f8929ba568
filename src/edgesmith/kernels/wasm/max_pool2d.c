/* max_pool2d on WebAssembly. */
#include "simd128_max_pool2d.h"

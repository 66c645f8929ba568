/* depthwise_conv2d_s8 on WebAssembly: simd128_depthwise_conv2d_s8.h with the vectors of wasm_lanes.h. */
#include "wasm_lanes.h"

#include "simd128_depthwise_conv2d_s8.h"

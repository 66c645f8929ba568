/* conv2d_s8 with groups = in_c, in plain C: the oracle. w is (kernel_h, kernel_w, out_c); output channel o reads input
 * channel o / (out_c / in_c). Shapes: edgesmith_integer.h; arithmetic: docs/numbers.md. */
#include "reference_window.h"

size_t es_depthwise_conv2d_s8_scratch(const es_conv2d_s8_params *p) {
    (void)p;
    return 0;
}

void es_depthwise_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    (void)scratch;
    es_depthwise(p, x, w, b, multiplier, shift, y);
}

/* depthwise_conv2d_s8 with weights of four bits for Cortex-M: cortex_m_depthwise.h. */
#define ES_BITS 4
#include "cortex_m_depthwise.h"

size_t es_depthwise_conv2d_s8_w4_scratch(const es_conv2d_s8_params *p) { return scratch_of(p); }

void es_depthwise_conv2d_s8_w4(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                               const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    convolve(p, x, w, b, multiplier, shift, y, scratch);
}

/* conv2d_s8 with weights of two bits, in plain C: the oracle. Shapes and layout: edgesmith_packed.h. */
#include "reference_packed.h"

size_t es_conv2d_s8_w2_scratch(const es_conv2d_s8_params *p) {
    return (size_t)es_taps(p);
}

void es_conv2d_s8_w2(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                     const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    es_conv2d_packed(p, x, w, b, multiplier, shift, y, scratch, 2);
}

/* conv2d_s8 in plain C: the oracle. Shapes and layout: edgesmith_integer.h; arithmetic: docs/numbers.md. */
#include "reference_window.h"

size_t es_conv2d_s8_scratch(const es_conv2d_s8_params *p) {
    (void)p;
    return 0;
}

void es_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const int32_t in_per = p->in_c / p->groups, out_per = p->out_c / p->groups;
    const int32_t taps = p->kernel_h * p->kernel_w * in_per;
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            const int32_t y0 = oy * p->stride_h - p->pad_top, x0 = ox * p->stride_w - p->pad_left;
            for (int32_t o = 0; o < p->out_c; o++) {
                const uint32_t sum = es_window(p, x + o / out_per * in_per, w + o * taps, y0, x0);
                const int32_t acc = es_signed((uint32_t)b[o] + sum);
                *y++ = es_clamp8(p->y_zero + es_requant(acc, multiplier[o], shift[o]), p->low, p->high);
            }
        }
    }
}

/* binary_conv2d and binary_conv2d_s8 in plain C: XOR and counted bits, word by word. Layout: edgesmith_binary.h;
 * arithmetic: docs/numbers.md, Signs. */
#include "edgesmith_signs.h"

size_t es_binary_conv2d_scratch(const es_binary_conv2d_params *p) {
    (void)p;
    return 0;
}

size_t es_binary_conv2d_s8_scratch(const es_binary_conv2d_params *p) {
    (void)p;
    return 0;
}

void es_binary_conv2d(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *w, const int32_t *threshold,
                      uint32_t *y, void *scratch) {
    const int32_t taps = p->kernel_h * p->kernel_w * es_sign_words(p->in_c), words = es_sign_words(p->out_c);
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++, y += words) {
            for (int32_t i = 0; i < words; i++) y[i] = 0;
            for (int32_t o = 0; o < p->out_c; o++) {
                es_put_sign(y, o, es_sign_sum(p, x, w + o * taps, oy, ox) >= threshold[o]);
            }
        }
    }
}

void es_binary_conv2d_s8(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *w, const int32_t *b,
                         const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const int32_t taps = p->kernel_h * p->kernel_w * es_sign_words(p->in_c);
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            for (int32_t o = 0; o < p->out_c; o++) {
                const int32_t sum = es_sign_sum(p, x, w + o * taps, oy, ox);
                *y++ = es_sign_requant(p, sum, b[o], multiplier[o], shift[o]);
            }
        }
    }
}

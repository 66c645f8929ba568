/* binary_conv2d and binary_conv2d_s8 for Cortex-M: 32 output pixels at a time, every cell of the window counted for each
 * channel (cortex_m_slices.h). Layout: edgesmith_binary.h; equal to reference/. */
#include "cortex_m_slices.h"

size_t es_binary_conv2d_scratch(const es_binary_conv2d_params *p) { return es_slices_scratch(p); }
size_t es_binary_conv2d_s8_scratch(const es_binary_conv2d_params *p) { return es_slices_scratch(p); }

void es_binary_conv2d(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *w, const int32_t *threshold,
                      uint32_t *y, void *scratch) {
    const int32_t n = es_window_cells(p), bits = es_slice_bits(n), words = es_sign_words(p->out_c);
    const int32_t taps = p->kernel_h * p->kernel_w * es_sign_words(p->in_c), pixels = p->out_h * p->out_w;
    uint32_t *planes = scratch, *sum = planes + es_window_planes(p), *made = sum + bits;
    for (int32_t first = 0; first < pixels; first += ES_PIXELS) {
        const int32_t count = pixels - first < ES_PIXELS ? pixels - first : ES_PIXELS;
        es_gather(p, x, first, count, planes);
        for (int32_t o = p->out_c; o < 32 * words; o++) made[o] = 0;
        for (int32_t o = 0; o < p->out_c; o++) {
            es_count_matches(p, planes, w + o * taps, sum, bits);
            made[o] = es_at_least(sum, bits, 0, es_least_matches(n, threshold[o]));
        }
        es_put_planes(made, words, y + first * words, count);
    }
}

void es_binary_conv2d_s8(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *w, const int32_t *b,
                         const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const int32_t bits = es_slice_bits(es_window_cells(p)), taps = p->kernel_h * p->kernel_w * es_sign_words(p->in_c);
    const int32_t pixels = p->out_h * p->out_w;
    uint32_t *planes = scratch, *sum = planes + es_window_planes(p), *turned = sum + bits;
    for (int32_t first = 0; first < pixels; first += ES_PIXELS) {
        const int32_t count = pixels - first < ES_PIXELS ? pixels - first : ES_PIXELS;
        es_gather(p, x, first, count, planes);
        for (int32_t o = 0; o < p->out_c; o++) {
            es_count_matches(p, planes, w + o * taps, sum, bits);
            es_put_sums(p, sum, bits, 0, turned, b[o], multiplier[o], shift[o], y + first * p->out_c + o, count);
        }
    }
}

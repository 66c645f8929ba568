/* linear_s8 on x86-64: rows times packed weights, as a pointwise convolution (x86_convolve.h, x86_product.h). */
#include "edgesmith_integer.h"
#include "x86_convolve.h"

static es_x86_image image_of(const es_linear_s8_params *p) {
    const es_x86_image image = {p->rows, 1, p->in_features, p->rows, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1};
    return image;
}

size_t es_linear_s8_scratch(const es_linear_s8_params *p) {
    const es_x86_image image = image_of(p);
    return es_x86_convolution_scratch(&image, 1);
}

void es_linear_s8(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const es_x86_image image = image_of(p);
    const es_x86_output out = {b, multiplier, shift, p->y_zero, p->low, p->high};
    const es_x86_product product = {out, w, NULL, p->out_features, 1, es_x86_fours(&image, 1)};
    const es_x86_convolution c = {image, product, x, y, 1, p->out_features};
    es_x86_run(&c, scratch);
}

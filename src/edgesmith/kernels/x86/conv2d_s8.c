/* conv2d_s8 on x86-64: windows read from padded strips, times packed weights (x86_convolve.h, x86_product.h). */
#include "edgesmith_integer.h"
#include "x86_convolve.h"

/* A pointwise convolution is one column of places, so that windows of several rows are worked on together. */
static es_x86_image image_of(const es_conv2d_s8_params *p) {
    es_x86_image image = es_x86_image_of(p);
    const int steps = p->stride_h == 1 && p->stride_w == 1 && p->pad_top == 0 && p->pad_left == 0;
    if (p->kernel_h == 1 && p->kernel_w == 1 && steps && p->out_h == p->in_h && p->out_w == p->in_w) {
        image.in_h = image.out_h = p->in_h * p->in_w;
        image.in_w = image.out_w = 1;
    }
    return image;
}

size_t es_conv2d_s8_scratch(const es_conv2d_s8_params *p) {
    const es_x86_image image = image_of(p);
    return es_x86_convolution_scratch(&image, p->groups);
}

void es_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const es_x86_image image = image_of(p);
    const es_x86_output out = {b, multiplier, shift, p->y_zero, p->low, p->high};
    const int32_t runs = es_x86_runs(&image, p->groups), fours = es_x86_fours(&image, p->groups);
    const es_x86_product product = {out, w, NULL, p->out_c / p->groups, runs, fours};
    const es_x86_convolution c = {image, product, x, y, p->groups, p->out_c};
    es_x86_run(&c, scratch);
}

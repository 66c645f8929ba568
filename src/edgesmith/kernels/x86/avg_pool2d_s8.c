/* avg_pool2d_s8 on x86-64: blocks of channels summed over the window inside x (docs/numbers.md). Bit-equal to
 * reference/. */
#include "edgesmith_fixed.h"
#include "edgesmith_integer.h"
#include "x86_sums.h"

/* Taps `first` to `last` - 1 of `taps` that lie in [0, size), the first tap at `start`. */
static int32_t inside(int32_t start, int32_t taps, int32_t dilation, int32_t size, int32_t *first) {
    int32_t from = 0, to = taps;
    while (from < taps && start + from * dilation < 0) from++;
    while (to > from && start + (to - 1) * dilation >= size) to--;
    *first = from;
    return to - from;
}

static void pool(const es_pool2d_params *p, const int8_t *x, int32_t y0, int32_t x0, const int32_t *multiplier,
                 const uint8_t *shift, int8_t *y) {
    int32_t ky, kx;
    const int32_t rows = inside(y0, p->kernel_h, p->dilation_h, p->in_h, &ky);
    const int32_t columns = inside(x0, p->kernel_w, p->dilation_w, p->in_w, &kx);
    const int32_t cells = rows * columns, entry = (p->count_all ? p->kernel_h * p->kernel_w : cells) - 1;
    const int32_t row = p->in_w * p->channels;
    if (cells > 0) x += (y0 + ky * p->dilation_h) * row + (x0 + kx * p->dilation_w) * p->channels;
    for (int32_t c = 0; c < p->channels; c += ES_X86_SUMS) {
        const int32_t n = p->channels - c < ES_X86_SUMS ? p->channels - c : ES_X86_SUMS;
        int32_t sums[ES_X86_SUMS] = {0};
        es_x86_add(sums, x + c, rows, p->dilation_h * row, columns, p->dilation_w * p->channels, n);
        for (int32_t i = 0; i < n; i++) {
            const int64_t mean = es_requant(sums[i] - cells * p->x_zero, multiplier[entry], shift[entry]);
            y[c + i] = es_clamp8(p->y_zero + mean, p->low, p->high);
        }
    }
}

void es_avg_pool2d_s8(const es_pool2d_params *p, const int8_t *x, const int32_t *multiplier, const uint8_t *shift,
                      int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++, y += p->channels) {
            pool(p, x, oy * p->stride_h - p->pad_top, ox * p->stride_w - p->pad_left, multiplier, shift, y);
        }
    }
}

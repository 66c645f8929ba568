/* avg_pool2d_s8 on vectors of 128 bits, for the lanes included before: one multiplier per number of counted cells
 * (docs/numbers.md), 16 channels together. */
#include "edgesmith_integer.h"
#include "simd128_product.h"

/* The part of a window that lies inside x. */
typedef struct {
    int32_t first_y, end_y, first_x, end_x, cells;
} es_inside;

static es_inside inside_of(const es_pool2d_params *p, int32_t y0, int32_t x0) {
    es_inside found = {0, p->kernel_h, 0, p->kernel_w, 0};
    while (found.first_y < found.end_y && y0 + found.first_y * p->dilation_h < 0) found.first_y++;
    while (found.end_y > found.first_y && y0 + (found.end_y - 1) * p->dilation_h >= p->in_h) found.end_y--;
    while (found.first_x < found.end_x && x0 + found.first_x * p->dilation_w < 0) found.first_x++;
    while (found.end_x > found.first_x && x0 + (found.end_x - 1) * p->dilation_w >= p->in_w) found.end_x--;
    found.cells = (found.end_y - found.first_y) * (found.end_x - found.first_x);
    return found;
}

/* Adds the cells of 16 channels; `first` is where in x the window begins, which may be before it. */
static void sum16(const es_pool2d_params *p, const es_inside *in, const int8_t *x, int32_t first, es_lanes *sum) {
    for (int32_t ky = in->first_y; ky < in->end_y; ky++) {
        const int32_t row = first + ky * p->dilation_h * p->in_w * p->channels;
        for (int32_t kx = in->first_x; kx < in->end_x; kx++) {
            es_lanes v[4];
            es_widen(x + row + kx * p->dilation_w * p->channels, v);
            for (int32_t i = 0; i < 4; i++) sum[i] = es_add(sum[i], v[i]);
        }
    }
}

static int32_t sum1(const es_pool2d_params *p, const es_inside *in, const int8_t *x, int32_t first) {
    int32_t sum = 0;
    for (int32_t ky = in->first_y; ky < in->end_y; ky++) {
        const int32_t row = first + ky * p->dilation_h * p->in_w * p->channels;
        for (int32_t kx = in->first_x; kx < in->end_x; kx++) sum += x[row + kx * p->dilation_w * p->channels];
    }
    return sum;
}

void es_avg_pool2d_s8(const es_pool2d_params *p, const int8_t *x, const int32_t *multiplier, const uint8_t *shift,
                      int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t cell = 0; cell < p->out_h * p->out_w; cell++, y += p->channels) {
        const int32_t y0 = cell / p->out_w * p->stride_h - p->pad_top, x0 = cell % p->out_w * p->stride_w - p->pad_left;
        const es_inside in = inside_of(p, y0, x0);
        const int32_t first = (y0 * p->in_w + x0) * p->channels;
        const int32_t entry = (p->count_all ? p->kernel_h * p->kernel_w : in.cells) - 1, zeros = -p->x_zero * in.cells;
        const int32_t b[4] = {zeros, zeros, zeros, zeros}, m = multiplier[entry], four[4] = {m, m, m, m};
        const uint8_t s[4] = {shift[entry], shift[entry], shift[entry], shift[entry]};
        const es_scale scale = es_scale_load(b, four, s);
        int32_t c = 0;
        for (; c + 16 <= p->channels; c += 16) {
            es_lanes sum[4] = {es_splat(0), es_splat(0), es_splat(0), es_splat(0)};
            sum16(p, &in, x, first + c, sum);
            for (int32_t i = 0; i < 4; i++) sum[i] = es_requantize(&scale, sum[i]);
            es_narrow_store(sum, p->y_zero, p->low, p->high, y + c);
        }
        for (; c < p->channels; c++) {
            const int64_t mean = es_requant(zeros + sum1(p, &in, x, first + c), m, shift[entry]);
            y[c] = es_clamp8(p->y_zero + mean, p->low, p->high);
        }
    }
}

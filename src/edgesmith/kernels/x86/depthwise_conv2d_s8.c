/* conv2d_s8 with groups = in_c on x86: w is (kernel_h, kernel_w, out_c). Two products of int8 fit 16 bits together, so
 * taps go in pairs.
 * Scratch: a pointer to the cell under each tap, and a cell of x_zero for taps outside x. */
#include "edgesmith_integer.h"
#include "x86_tile.h"

#define LANES 32 /* channels worked on together */

size_t es_depthwise_conv2d_s8_scratch(const es_conv2d_s8_params *p) {
    return 8 * (size_t)(p->kernel_h * p->kernel_w) + (size_t)p->in_c;
}

/* The input cells under all taps of the window whose first cell is (y0, x0). */
static void find_cells(const es_conv2d_s8_params *p, const int8_t *x, int32_t y0, int32_t x0, const int8_t *outside,
                       const int8_t **cells) {
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int32_t iy = y0 + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; kx++) {
            const int32_t ix = x0 + kx * p->dilation_w;
            const int inside = iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w;
            *cells++ = inside ? x + (iy * p->in_w + ix) * p->in_c : outside;
        }
    }
}

#ifdef ES_X86_VNNI

static inline __m512i widen(__mmask32 lanes, const int8_t *p) {
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(lanes, p));
}

/* y of `count` <= LANES channels from c on, one output channel to each input channel. */
static void finish_lanes(const es_x86_product *g, const int8_t *const *cells, const int8_t *w, int32_t taps, int32_t c,
                         int32_t count, int8_t *y) {
    const __mmask32 lanes = (__mmask32)((UINT64_C(1) << count) - 1);
    __m512i low = _mm512_setzero_si512(), high = low;
    int32_t t = 0;
    for (w += c; t < taps; t += 2, w += 2 * g->channels) {
        __m512i two = _mm512_mullo_epi16(widen(lanes, cells[t] + c), widen(lanes, w));
        if (t + 1 < taps) {
            const __m512i next = _mm512_mullo_epi16(widen(lanes, cells[t + 1] + c), widen(lanes, w + g->channels));
            two = _mm512_add_epi16(two, next);
        }
        low = _mm512_add_epi32(low, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(two)));
        high = _mm512_add_epi32(high, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(two, 1)));
    }
    es_x86_scale scale = es_x86_load(g, c, (__mmask16)lanes);
    es_x86_store(&scale, low, (__mmask16)lanes, y);
    if (count > 16) {
        scale = es_x86_load(g, c + 16, (__mmask16)(lanes >> 16));
        es_x86_store(&scale, high, (__mmask16)(lanes >> 16), y + 16);
    }
}

#else

/* The same in C, for the compiler to vectorize. */
static void finish_lanes(const es_x86_product *g, const int8_t *const *cells, const int8_t *w, int32_t taps, int32_t c,
                         int32_t count, int8_t *y) {
    int32_t acc[LANES] = {0};
    int32_t t = 0;
    for (w += c; t + 1 < taps; t += 2, w += 2 * g->channels) {
        const int8_t *a = cells[t] + c, *b = cells[t + 1] + c;
        for (int32_t i = 0; i < count; i++) acc[i] += (int16_t)(a[i] * w[i] + b[i] * w[g->channels + i]);
    }
    if (t < taps) {
        const int8_t *a = cells[t] + c;
        for (int32_t i = 0; i < count; i++) acc[i] += (int16_t)(a[i] * w[i]);
    }
    es_x86_finish(g, acc, c, count, y);
}

#endif

/* y of `count` <= ES_X86_LANES output channels from o on, where each input channel has several. */
static void finish_several(const es_x86_product *g, const int8_t *const *cells, const int8_t *w, int32_t taps,
                           int32_t each, int32_t o, int32_t count, int8_t *y) {
    int32_t sum[ES_X86_LANES];
    for (int32_t i = 0; i < count; i++) {
        uint32_t acc = 0;
        for (int32_t t = 0; t < taps; t++) acc += (uint32_t)(cells[t][(o + i) / each] * w[t * g->channels + o + i]);
        sum[i] = es_signed(acc);
    }
    es_x86_finish(g, sum, o, count, y);
}

void es_depthwise_conv2d_s8(const es_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                            const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const es_x86_product product = {NULL, b, multiplier, shift, p->out_c, 0, p->y_zero, p->low, p->high};
    const int32_t taps = p->kernel_h * p->kernel_w, each = p->out_c / p->in_c, cells = p->out_h * p->out_w;
    const int32_t step = each == 1 ? LANES : ES_X86_LANES;
    const int8_t **under = scratch;
    int8_t *outside = (int8_t *)scratch + 8 * taps;
    __builtin_memset(outside, p->x_zero, (size_t)p->in_c);
    for (int32_t cell = 0; cell < cells; cell++, y += p->out_c) {
        const int32_t y0 = cell / p->out_w * p->stride_h - p->pad_top, x0 = cell % p->out_w * p->stride_w - p->pad_left;
        find_cells(p, x, y0, x0, outside, under);
        for (int32_t c = 0; c < p->out_c; c += step) {
            const int32_t count = p->out_c - c < step ? p->out_c - c : step;
            if (each == 1) {
                finish_lanes(&product, under, w, taps, c, count, y + c);
            } else {
                finish_several(&product, under, w, taps, each, c, count, y + c);
            }
        }
    }
}

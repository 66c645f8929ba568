/* A strip: the rows of an image that some output rows read, copied side by side with their padding, in the form that
 * the level multiplies: int8 as it is (plain), int16 (AVX2) or x + 128 as uint8 (VNNI).
 *
 * Cells of a row may be split into `planes` by their column modulo the stride, so that the cells that one tap of
 * neighbouring windows reads lie side by side. */
#ifndef EDGESMITH_X86_STRIP_H
#define EDGESMITH_X86_STRIP_H

#include "edgesmith_integer.h"
#include "x86_level.h"

#define ES_X86_STRIP 16384 /* elements that a strip of several output rows may have: they stay in the first cache */
#define ES_X86_SLACK 64    /* elements that may be read beyond a strip */

/* An image and the windows over it; `cell` elements in each place, `planes` as above. */
typedef struct {
    int32_t in_h, in_w, cell, out_h, out_w;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, x_zero, planes;
} es_x86_image;

static inline es_x86_image es_x86_image_of(const es_conv2d_s8_params *p) {
    const es_x86_image image = {p->in_h,     p->in_w,     p->in_c,    p->out_h,    p->out_w,      p->kernel_h,   p->kernel_w, p->stride_h,
                                p->stride_w, p->pad_top, p->pad_left, p->dilation_h, p->dilation_w, p->x_zero, 1};
    return image;
}

/* Input rows from the first to the last that `rows` output rows read. */
static inline int32_t es_x86_span(const es_x86_image *m, int32_t rows) {
    return (rows - 1) * m->stride_h + (m->kernel_h - 1) * m->dilation_h + 1;
}

/* Elements of one plane of one row of a strip. */
static inline int32_t es_x86_plane(const es_x86_image *m) {
    const int32_t cells = (m->out_w - 1) * m->stride_w + (m->kernel_w - 1) * m->dilation_w + 1;
    return (cells + m->planes - 1) / m->planes * m->cell;
}

/* Output rows of a strip: as many as ES_X86_STRIP elements serve, at least one. */
static inline int32_t es_x86_strip_rows(const es_x86_image *m) {
    const int32_t spare = ES_X86_STRIP / (m->planes * es_x86_plane(m)) - es_x86_span(m, 1);
    const int32_t rows = spare < 0 ? 1 : spare / m->stride_h + 1;
    return rows < m->out_h ? rows : m->out_h;
}

static inline size_t es_x86_strip_elements(const es_x86_image *m) {
    const size_t row = (size_t)m->planes * (size_t)es_x86_plane(m);
    return (size_t)es_x86_span(m, es_x86_strip_rows(m)) * row + ES_X86_SLACK;
}

/* n values in the level's form to `to`. */
ES_INLINE void es_x86_put(void *to, const int8_t *x, int32_t n, const int32_t level) {
    if (level == ES_X86_AVX2) {
        int16_t *wide = to;
        for (int32_t i = 0; i < n; i++) wide[i] = x[i];
    } else if (level == ES_X86_VNNI) {
        uint8_t *bytes = to;
        for (int32_t i = 0; i < n; i++) bytes[i] = (uint8_t)(x[i] ^ -128);
    } else {
        __builtin_memcpy(to, x, (size_t)n);
    }
}

/* n cells of padding. */
ES_INLINE void es_x86_fill(void *to, int32_t value, int32_t n, const int32_t level) {
    if (level == ES_X86_AVX2) {
        int16_t *wide = to;
        for (int32_t i = 0; i < n; i++) wide[i] = (int16_t)value;
    } else {
        __builtin_memset(to, level == ES_X86_VNNI ? value ^ 128 : value, (size_t)n);
    }
}

ES_INLINE uint8_t *es_x86_at(void *strip, int32_t element, const int32_t level) {
    return (uint8_t *)strip + (size_t)element * (level == ES_X86_AVX2 ? 2 : 1);
}

/* The cells of one input row, or padding where iy is outside, into one row of a strip with one plane. */
ES_INLINE void es_x86_copy_row(const es_x86_image *m, const int8_t *x, int32_t iy, void *to, const int32_t level) {
    const int32_t cells = es_x86_plane(m) / m->cell;
    if (iy < 0 || iy >= m->in_h) {
        es_x86_fill(to, m->x_zero, cells * m->cell, level);
        return;
    }
    const int32_t before = m->pad_left < cells ? m->pad_left : cells;
    const int32_t inside = m->in_w < cells - before ? m->in_w : cells - before, after = cells - before - inside;
    es_x86_fill(to, m->x_zero, before * m->cell, level);
    es_x86_put(es_x86_at(to, before * m->cell, level), x + iy * m->in_w * m->cell, inside * m->cell, level);
    es_x86_fill(es_x86_at(to, (before + inside) * m->cell, level), m->x_zero, after * m->cell, level);
}

/* n bytes, each with `flip` exclusive-ored. */
ES_INLINE void es_x86_flip(uint8_t *to, const int8_t *x, int32_t n, int32_t flip) {
    const __m128i all = _mm_set1_epi8((char)flip);
    int32_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(x + i));
        _mm_storeu_si128((__m128i *)(void *)(to + i), _mm_xor_si128(bytes, all));
    }
    for (; i + 8 <= n; i += 8) {
        const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(x + i));
        _mm_storel_epi64((__m128i *)(void *)(to + i), _mm_xor_si128(bytes, all));
    }
    for (; i < n; i++) to[i] = (uint8_t)(x[i] ^ flip);
}

/* The same, cell by cell into planes of bytes. */
ES_INLINE void es_x86_split_row(const es_x86_image *m, const int8_t *x, int32_t iy, uint8_t *to, const int32_t level) {
    const int32_t n = m->cell, cells = es_x86_plane(m) / n, flip = level == ES_X86_VNNI ? 128 : 0;
    for (int32_t plane = 0; plane < m->planes; plane++) {
        int32_t ix = plane - m->pad_left;
        for (int32_t i = 0; i < cells; i++, to += n, ix += m->planes) {
            if (iy < 0 || iy >= m->in_h || ix < 0 || ix >= m->in_w) {
                __builtin_memset(to, m->x_zero ^ flip, (size_t)n);
            } else {
                es_x86_flip(to, x + (iy * m->in_w + ix) * n, n, flip);
            }
        }
    }
}

/* The strip of output rows from `first` on. */
ES_INLINE void es_x86_copy_strip(const es_x86_image *m, const int8_t *x, int32_t first, int32_t rows, void *strip,
                                 const int32_t level) {
    const int32_t row = m->planes * es_x86_plane(m), span = es_x86_span(m, rows);
    const int32_t y0 = first * m->stride_h - m->pad_top;
    if (m->planes == 1 && m->pad_left == 0 && row == m->in_w * m->cell && y0 >= 0 && y0 + span <= m->in_h) {
        es_x86_put(strip, x + y0 * row, span * row, level);
        return;
    }
    for (int32_t i = 0; i < span; i++) {
        void *to = es_x86_at(strip, i * row, level);
        if (m->planes == 1) {
            es_x86_copy_row(m, x, y0 + i, to, level);
        } else {
            es_x86_split_row(m, x, y0 + i, to, level);
        }
    }
}

#endif

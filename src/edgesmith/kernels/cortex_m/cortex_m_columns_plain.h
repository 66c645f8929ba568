/* Tiles in plain C, for cores without the DSP instructions. */
#ifndef EDGESMITH_CORTEX_M_COLUMNS_PLAIN_H
#define EDGESMITH_CORTEX_M_COLUMNS_PLAIN_H

/* Sums A and S of P pixels over words words of their columns; P is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void es_sums(const int16_t *lane, const int8_t *w, int32_t words, int32_t P,
                                                          uint32_t *a, uint32_t *s) {
    const int16_t *packed = (const int16_t *)(const void *)w;
    for (const int16_t *end = packed + 2 * words; packed < end; packed += 2, lane += 2 * P) {
        for (int32_t i = 0; i < 2; i++) {
            const int32_t both = packed[i], first = (int8_t)both;
            for (int32_t p = 0; p < P; p++) {
                s[p] += (uint32_t)(lane[2 * p + i] * both);
                a[p] += (uint32_t)(lane[2 * p + i] * first);
            }
        }
    }
}

/* The pairs of channels from t->w to t->w_end, P pixels. Every shift is in [33, 54]. */
static inline __attribute__((always_inline)) void es_tile_of(const es_tile *t, int32_t P) {
    const int32_t pair_bytes = 4 * t->words;
    int32_t o = 0;
    for (const int8_t *w = t->w; w < t->w_end; w += pair_bytes, o += 2) {
        const int32_t o_b = o + t->second;
        uint32_t a[4], s[4], b[4];
        for (int32_t p = 0; p < P; p++) {
            a[p] = (uint32_t)t->bias[o];
            b[p] = (uint32_t)t->bias[o_b];
        }
        for (int32_t done = 0; done < t->words; done += ES_CHUNK_WORDS) {
            const int32_t left = t->words - done, words = left < ES_CHUNK_WORDS ? left : ES_CHUNK_WORDS;
            for (int32_t p = 0; p < P; p++) s[p] = a[p];
            es_sums((const int16_t *)(const void *)(t->x + done * P), w + 4 * done, words, P, a, s);
            for (int32_t p = 0; p < P; p++) b[p] += (uint32_t)((int32_t)(s[p] - a[p]) >> 8);
        }
        const es_channel first = es_channel_of(t->multiplier[o], t->shift[o], t->y_zero);
        const es_channel second = es_channel_of(t->multiplier[o_b], t->shift[o_b], t->y_zero);
        for (int32_t p = 0; p < P; p++) {
            t->y[p * t->y_step + o_b] = es_channel_apply(second, (int32_t)b[p]);
            t->y[p * t->y_step + o] = es_channel_apply(first, (int32_t)a[p]);
        }
    }
}

static __attribute__((noinline, unused)) void es_tile4(const es_tile *t) { es_tile_of(t, 4); }
static __attribute__((noinline, unused)) void es_tile2(const es_tile *t) { es_tile_of(t, 2); }
static __attribute__((noinline, unused)) void es_tile1(const es_tile *t) { es_tile_of(t, 1); }

/* Four activations as (x0,x2), (x1,x3). */
static inline void es_widen4(const int8_t *x, uint32_t *even, uint32_t *odd) {
    *even = es_lanes(x[0], x[2]);
    *odd = es_lanes(x[1], x[3]);
}

#endif

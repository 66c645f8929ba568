/* What the binary convolutions on Cortex-M share: 32 output pixels at a time, one bit of a word each.
 *
 * A plane is a word whose bit i belongs to output pixel i of the block. The window of a block is one plane for every cell:
 * in the order of a tree's cells, gathered by words and turned by 32x32 bit transposes. A number per pixel is a list of planes, the lowest bit first. Cells that match a channel's weights are counted by carry-save adders, eight
 * cells at a time (Harley and Seal), so that a cell costs about seven instructions for 32 pixels. Sums are kept modulo
 * 2^bits, each with an offset that all pixels share. */
#ifndef EDGESMITH_CORTEX_M_SLICES_H
#define EDGESMITH_CORTEX_M_SLICES_H

#include "cortex_m_requant.h"
#include "edgesmith_signs.h"

#define ES_PIXELS 32
#define ES_MOST_BITS 18 /* of a number of cells, a window's at most 2^15, and its sign */

/* Bits of a difference of two numbers up to n + 1. */
static inline int32_t es_slice_bits(int32_t n) {
    int32_t bits = 2;
    while (n + 1 >= 1 << (bits - 1)) bits++;
    return bits;
}

static inline int32_t es_window_cells(const es_binary_conv2d_params *p) { return p->kernel_h * p->kernel_w * p->in_c; }

/* The last transpose may end beyond the last cell. */
static inline int32_t es_window_planes(const es_binary_conv2d_params *p) { return es_window_cells(p) + 31; }

/* Words of scratch: the window, a sum for each level of a tree, the results of all channels. */
static inline size_t es_slices_scratch(const es_binary_conv2d_params *p) {
    const int32_t sums = (p->depth + 1) * es_slice_bits(es_window_cells(p));
    return sizeof(uint32_t) * (size_t)(es_window_planes(p) + sums + es_sign_words(p->out_c) * 32);
}

#define ES_SWAP(a, b, by, mask)                            \
    do {                                                   \
        const uint32_t turned = (((a) >> (by)) ^ (b)) & (mask); \
        (a) ^= turned << (by);                             \
        (b) ^= turned;                                     \
    } while (0)

/* Bit j of word i becomes bit i of word j. */
static __attribute__((noinline, unused)) void es_transpose(uint32_t *a) {
    for (int32_t i = 0; i < 4; i++) {
        uint32_t v0 = a[i], v1 = a[i + 4], v2 = a[i + 8], v3 = a[i + 12];
        uint32_t v4 = a[i + 16], v5 = a[i + 20], v6 = a[i + 24], v7 = a[i + 28];
        ES_SWAP(v0, v4, 16, 0x0000ffffu);
        ES_SWAP(v1, v5, 16, 0x0000ffffu);
        ES_SWAP(v2, v6, 16, 0x0000ffffu);
        ES_SWAP(v3, v7, 16, 0x0000ffffu);
        ES_SWAP(v0, v2, 8, 0x00ff00ffu);
        ES_SWAP(v1, v3, 8, 0x00ff00ffu);
        ES_SWAP(v4, v6, 8, 0x00ff00ffu);
        ES_SWAP(v5, v7, 8, 0x00ff00ffu);
        ES_SWAP(v0, v1, 4, 0x0f0f0f0fu);
        ES_SWAP(v2, v3, 4, 0x0f0f0f0fu);
        ES_SWAP(v4, v5, 4, 0x0f0f0f0fu);
        ES_SWAP(v6, v7, 4, 0x0f0f0f0fu);
        a[i] = v0, a[i + 4] = v1, a[i + 8] = v2, a[i + 12] = v3;
        a[i + 16] = v4, a[i + 20] = v5, a[i + 24] = v6, a[i + 28] = v7;
    }
    for (int32_t i = 0; i < 32; i += 4) {
        uint32_t v0 = a[i], v1 = a[i + 1], v2 = a[i + 2], v3 = a[i + 3];
        ES_SWAP(v0, v2, 2, 0x33333333u);
        ES_SWAP(v1, v3, 2, 0x33333333u);
        ES_SWAP(v0, v1, 1, 0x55555555u);
        ES_SWAP(v2, v3, 1, 0x55555555u);
        a[i] = v0, a[i + 1] = v1, a[i + 2] = v2, a[i + 3] = v3;
    }
}

/* The window of `count` output pixels from `first` on, as planes. */
static __attribute__((noinline, unused)) void es_gather(const es_binary_conv2d_params *p, const uint32_t *x,
                                                        int32_t first, int32_t count, uint32_t *planes) {
    const int32_t words = es_sign_words(p->in_c);
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        for (int32_t kx = 0; kx < p->kernel_w; kx++, planes += p->in_c) {
            int32_t oy = first / p->out_w, ox = first % p->out_w;
            for (int32_t i = 0; i < ES_PIXELS; i++) {
                const uint32_t *cell = i < count ? es_sign_cell(p, x, oy, ox, ky, kx) : NULL;
                for (int32_t w = 0; w < words; w++) planes[32 * w + i] = cell != NULL ? cell[w] : 0;
                if (++ox == p->out_w) ox = 0, oy++;
            }
            for (int32_t w = 0; w < words; w++) es_transpose(planes + 32 * w);
        }
    }
}

/* Numbers that grow: the lowest three planes apart. */
typedef struct {
    uint32_t ones, twos, fours;
    uint32_t *higher; /* planes from 8 on, all zero at first */
} es_counter;

/* The sum of three planes: `a` keeps the low one, the high one is returned. */
static inline uint32_t es_carry(uint32_t *a, uint32_t b, uint32_t c) {
    const uint32_t half = *a ^ b, high = (*a & b) | (half & c);
    *a = half ^ c;
    return high;
}

static inline void es_ripple(uint32_t *planes, uint32_t carry) {
    for (; carry != 0; planes++) {
        const uint32_t both = *planes & carry;
        *planes ^= carry;
        carry = both;
    }
}

/* Eight planes, PLANE(0) to PLANE(7), each read where it is added: registers are few. */
#define ES_COUNT_EIGHT(c, PLANE)                                                                    \
    do {                                                                                            \
        uint32_t two = es_carry(&(c).ones, PLANE(0), PLANE(1));                                     \
        uint32_t four = es_carry(&(c).twos, two, es_carry(&(c).ones, PLANE(2), PLANE(3)));          \
        two = es_carry(&(c).ones, PLANE(4), PLANE(5));                                              \
        two = es_carry(&(c).twos, two, es_carry(&(c).ones, PLANE(6), PLANE(7)));                    \
        es_ripple((c).higher, es_carry(&(c).fours, four, two));                                     \
    } while (0)

static inline void es_count_one(es_counter *c, uint32_t v) {
    const uint32_t two = c->ones & v, four = c->twos & two, eight = c->fours & four;
    c->ones ^= v;
    c->twos ^= two;
    c->fours ^= four;
    es_ripple(c->higher, eight);
}

/* Cells of the window that match the weights w of one channel, as `bits` planes of `sum`. */
static __attribute__((noinline, unused)) void es_count_matches(const es_binary_conv2d_params *p, const uint32_t *planes,
                                                               const uint32_t *w, uint32_t *sum, int32_t bits) {
    const int32_t taps = p->kernel_h * p->kernel_w, words = es_sign_words(p->in_c);
    uint32_t higher[ES_MOST_BITS] = {0};
    es_counter c = {0, 0, 0, higher};
    for (int32_t tap = 0; tap < taps; tap++) {
        int32_t left = p->in_c;
        for (int32_t word = 0; word < words; word++, left -= 32) {
            const int32_t count = left < 32 ? left : 32;
            uint32_t weights = ~*w++; /* a plane matches where it differs from the weight turned */
            int32_t i = 0;
#define ES_WEIGHTED(j) (planes[i + (j)] ^ (0u - (weights >> (j) & 1u)))
            for (; i + 8 <= count; i += 8, weights >>= 8) ES_COUNT_EIGHT(c, ES_WEIGHTED);
#undef ES_WEIGHTED
            for (; i < count; i++, weights >>= 1) es_count_one(&c, planes[i] ^ (0u - (weights & 1u)));
            planes += count;
        }
    }
    sum[0] = c.ones;
    sum[1] = c.twos;
    for (int32_t i = 2; i < bits; i++) sum[i] = i == 2 ? c.fours : higher[i - 3];
}

/* Pixels where sum + offset >= least, both within n + 1 of zero: the sign of the difference. */
static inline uint32_t es_at_least(const uint32_t *sum, int32_t bits, int32_t offset, int32_t least) {
    const uint32_t other = (uint32_t)(offset - least);
    uint32_t carry = 0;
    for (int32_t i = 0; i + 1 < bits; i++) carry = other >> i & 1u ? sum[i] | carry : sum[i] & carry;
    return ~(sum[bits - 1] ^ carry ^ (0u - (other >> (bits - 1) & 1u)));
}

/* The least number of matching cells whose sum of products 2 m - n reaches the threshold. */
static inline int32_t es_least_matches(int32_t n, int32_t threshold) {
    return threshold > n ? n + 1 : threshold <= -n ? 0 : (threshold + n + 1) >> 1;
}

/* A channel's results as int8, where sum + offset cells match at each of `count` pixels; `turned` is 32 words. */
static __attribute__((noinline, unused)) void es_put_sums(const es_binary_conv2d_params *p, const uint32_t *sum,
                                                          int32_t bits, int32_t offset, uint32_t *turned, int32_t b,
                                                          int32_t m, uint32_t s, int8_t *y, int32_t count) {
    const uint32_t mask = (1u << bits) - 1u;
    const int32_t n = es_window_cells(p), usual = es_shift_is_usual(s);
    const es_channel c = es_channel_of(m, usual ? s : 33u, p->y_zero);
    for (int32_t i = 0; i < 32; i++) turned[i] = i < bits ? sum[i] : 0;
    es_transpose(turned);
    for (int32_t i = 0; i < count; i++, y += p->out_c) {
        const int32_t matches = (int32_t)((turned[i] + (uint32_t)offset) & mask);
        const int32_t acc = es_signed((uint32_t)(2 * matches - n) * 256u + (uint32_t)b);
        const int8_t v = usual ? es_channel_apply(c, acc) : es_requant_any(acc, m, s, p->y_zero);
        *y = es_clamp8(v, p->low, p->high);
    }
}

/* The signs of all channels, a plane each, to the cells of `count` pixels. */
static __attribute__((noinline, unused)) void es_put_planes(uint32_t *planes, int32_t words, uint32_t *y, int32_t count) {
    for (int32_t w = 0; w < words; w++, planes += 32) {
        es_transpose(planes);
        for (int32_t i = 0; i < count; i++) y[i * words + w] = planes[i];
    }
}

#endif

/* mst_conv2d and mst_conv2d_s8 in plain C: the root's sum by XOR and counted bits, every other channel's from its
 * parent's by the cells that differ. Layout: edgesmith_binary.h; arithmetic: docs/numbers.md, Signs. Scratch: the sum of
 * the last channel of each level.
 * Source: Vo et al., arXiv:2308.13735 (an output channel from another and the weights that differ). */
#include "edgesmith_signs.h"

static size_t levels(const es_binary_conv2d_params *p) { return sizeof(int32_t) * (size_t)(p->depth + 1); }

size_t es_mst_conv2d_scratch(const es_binary_conv2d_params *p) { return levels(p); }
size_t es_mst_conv2d_s8_scratch(const es_binary_conv2d_params *p) { return levels(p); }

/* Twice the sum of the products at the `count` cells of `entries`, which differ from the parent's. */
static int32_t difference(const es_binary_conv2d_params *p, const uint32_t *x, const uint16_t *entries, int32_t count,
                          int32_t oy, int32_t ox) {
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t cell = entries[i] >> 1, tap = cell / p->in_c, c = cell % p->in_c;
        const uint32_t *at = es_sign_cell(p, x, oy, ox, tap / p->kernel_w, tap % p->kernel_w);
        const uint32_t bit = at != NULL ? at[c / 32] >> (c % 32) & 1u : 0;
        sum += bit == (entries[i] & 1u) ? 2 : -2;
    }
    return sum;
}

/* The sum of the channel whose record begins at `record`; moves `record` to the next one. */
static int32_t next_sum(const es_binary_conv2d_params *p, const uint32_t *x, const uint16_t **record, int32_t *sums,
                        int32_t oy, int32_t ox) {
    const int32_t level = (*record)[1], count = (*record)[2];
    sums[level] = sums[level - 1] + difference(p, x, *record + 3, count, oy, ox);
    *record += 3 + count;
    return sums[level];
}

void es_mst_conv2d(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *root, const uint16_t *tree,
                   const int32_t *threshold, uint32_t *y, void *scratch) {
    const int32_t words = es_sign_words(p->out_c);
    int32_t *sums = scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++, y += words) {
            const uint16_t *record = tree + 1;
            for (int32_t i = 0; i < words; i++) y[i] = 0;
            sums[0] = es_sign_sum(p, x, root, oy, ox);
            es_put_sign(y, tree[0], sums[0] >= threshold[tree[0]]);
            for (int32_t i = 1; i < p->out_c; i++) {
                const int32_t channel = record[0];
                es_put_sign(y, channel, next_sum(p, x, &record, sums, oy, ox) >= threshold[channel]);
            }
        }
    }
}

void es_mst_conv2d_s8(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *root, const uint16_t *tree,
                      const int32_t *b, const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    int32_t *sums = scratch;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++, y += p->out_c) {
            const uint16_t *record = tree + 1;
            int32_t o = tree[0];
            sums[0] = es_sign_sum(p, x, root, oy, ox);
            y[o] = es_sign_requant(p, sums[0], b[o], multiplier[o], shift[o]);
            for (int32_t i = 1; i < p->out_c; i++) {
                o = record[0];
                y[o] = es_sign_requant(p, next_sum(p, x, &record, sums, oy, ox), b[o], multiplier[o], shift[o]);
            }
        }
    }
}

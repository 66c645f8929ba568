/* mst_conv2d and mst_conv2d_s8 for Cortex-M: 32 output pixels at a time; of the root every cell is counted, of any other
 * channel only those that differ from its parent (cortex_m_slices.h). Layout: edgesmith_binary.h, but for the tree: the
 * root's number, then for every channel its number, level, how many of its weights turned to +1 and to -1, and the cells of
 * the former, then of the latter. Equal to reference/.
 * Source: Vo et al., arXiv:2308.13735 (an output channel from another and the weights that differ). */
#include "cortex_m_slices.h"

typedef struct {
    int32_t channel, offset;
    const uint32_t *sum;
} es_slice_result;

/* A walk through the tree: the sum of the last channel of each level, as planes and an offset. */
typedef struct {
    const uint16_t *record;
    uint32_t *sums;
    int32_t bits;
    int32_t offsets[65]; /* depth is at most 64 */
} es_walk;

size_t es_mst_conv2d_scratch(const es_binary_conv2d_params *p) { return es_slices_scratch(p); }
size_t es_mst_conv2d_s8_scratch(const es_binary_conv2d_params *p) { return es_slices_scratch(p); }

/* Adds the cells of a list that equal the mask turned. */
static inline void count_list(es_counter *c, const uint32_t *planes, const uint16_t *list, int32_t count, uint32_t mask) {
#define LISTED(j) (planes[list[j]] ^ mask)
    for (; count >= 8; count -= 8, list += 8) ES_COUNT_EIGHT(*c, LISTED);
#undef LISTED
    for (; count > 0; count--) es_count_one(c, planes[*list++] ^ mask);
}

/* The next channel: k of its d differing cells match, so that its matches are its parent's and 2 k - d. */
static __attribute__((noinline)) es_slice_result next(es_walk *walk, const uint32_t *planes) {
    const uint16_t *record = walk->record;
    const int32_t level = record[1], more = record[2], less = record[3], bits = walk->bits;
    const uint32_t *from = walk->sums + (level - 1) * bits;
    uint32_t *sum = walk->sums + level * bits, counted[ES_MOST_BITS + 3] = {0}, carry = 0;
    es_counter c = {0, 0, 0, counted + 3};
    count_list(&c, planes, record + 4, more, 0);
    count_list(&c, planes, record + 4 + more, less, 0xffffffffu);
    counted[0] = c.ones;
    counted[1] = c.twos;
    counted[2] = c.fours;
    sum[0] = from[0];
    for (int32_t i = 1; i < bits; i++) {
        const uint32_t a = from[i], b = counted[i - 1], half = a ^ b;
        sum[i] = half ^ carry;
        carry = (a & b) | (half & carry);
    }
    walk->offsets[level] = walk->offsets[level - 1] - more - less;
    walk->record = record + 4 + more + less;
    const es_slice_result result = {record[0], walk->offsets[level], sum};
    return result;
}

/* Begins a walk with the root. */
static es_slice_result begin(es_walk *walk, const es_binary_conv2d_params *p, const uint32_t *planes,
                             const uint32_t *root, const uint16_t *tree) {
    es_count_matches(p, planes, root, walk->sums, walk->bits);
    walk->record = tree + 1;
    walk->offsets[0] = 0;
    const es_slice_result result = {tree[0], 0, walk->sums};
    return result;
}

void es_mst_conv2d(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *root, const uint16_t *tree,
                   const int32_t *threshold, uint32_t *y, void *scratch) {
    const int32_t n = es_window_cells(p), words = es_sign_words(p->out_c), pixels = p->out_h * p->out_w;
    uint32_t *planes = scratch;
    es_walk walk = {tree, planes + es_window_planes(p), es_slice_bits(n), {0}};
    uint32_t *made = walk.sums + (p->depth + 1) * walk.bits;
    for (int32_t first = 0; first < pixels; first += ES_PIXELS) {
        const int32_t count = pixels - first < ES_PIXELS ? pixels - first : ES_PIXELS;
        es_gather(p, x, first, count, planes);
        for (int32_t o = p->out_c; o < 32 * words; o++) made[o] = 0;
        es_slice_result r = begin(&walk, p, planes, root, tree);
        for (int32_t i = 0;; i++) {
            made[r.channel] = es_at_least(r.sum, walk.bits, r.offset, es_least_matches(n, threshold[r.channel]));
            if (i + 1 >= p->out_c) break;
            r = next(&walk, planes);
        }
        es_put_planes(made, words, y + first * words, count);
    }
}

void es_mst_conv2d_s8(const es_binary_conv2d_params *p, const uint32_t *x, const uint32_t *root, const uint16_t *tree,
                      const int32_t *b, const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    const int32_t pixels = p->out_h * p->out_w;
    uint32_t *planes = scratch;
    es_walk walk = {tree, planes + es_window_planes(p), es_slice_bits(es_window_cells(p)), {0}};
    uint32_t *turned = walk.sums + (p->depth + 1) * walk.bits;
    for (int32_t first = 0; first < pixels; first += ES_PIXELS) {
        const int32_t count = pixels - first < ES_PIXELS ? pixels - first : ES_PIXELS;
        es_gather(p, x, first, count, planes);
        es_slice_result r = begin(&walk, p, planes, root, tree);
        for (int32_t i = 0;; i++) {
            const int32_t o = r.channel;
            es_put_sums(p, r.sum, walk.bits, r.offset, turned, b[o], multiplier[o], shift[o], y + first * p->out_c + o,
                        count);
            if (i + 1 >= p->out_c) break;
            r = next(&walk, planes);
        }
    }
}

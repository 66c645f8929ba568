/* single_pass_softmax_s8 in plain C: a new largest entry rescales the sum so far (arXiv:2305.18691, section IV-B). */
#include "edgesmith_attention.h"
#include "edgesmith_shift.h"

void es_single_pass_softmax_s8(const es_single_pass_softmax_s8_params *p, const int8_t *x, const uint32_t *table,
                               int8_t *y, void *scratch) {
    const uint32_t unit = UINT32_C(1) << p->unit_bits;
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        int32_t most = x[0];
        uint32_t sum = unit;
        for (int32_t i = 1; i < p->n; i++) {
            const int32_t distance = most - x[i];
            if (distance >= 0) {
                sum += table[distance];
            } else {
                sum = (uint32_t)(((uint64_t)sum * table[-distance]) >> p->unit_bits) + unit;
                most = x[i];
            }
        }
        const es_reciprocal r = es_reciprocal_of(sum);
        for (int32_t i = 0; i < p->n; i++) y[i] = es_probability(es_share(table[most - x[i]], r));
    }
}

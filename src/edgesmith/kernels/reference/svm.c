/* rbf_s16, svm_pairs, svm_pairs_s16 and pair_votes in plain C. */
#include "edgesmith_classical.h"
#include "edgesmith_fixed.h"

void es_rbf_s16(const es_rbf_s16_params *p, const int32_t *d, const int16_t *table, int16_t *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->m; i++) {
        const int64_t scaled = es_requant(d[i], p->multiplier, p->shift);
        const int32_t t = (int32_t)(scaled < 0 ? 0 : scaled > 65535 ? 65535 : scaled);
        const int32_t low = table[t >> 8], high = table[(t >> 8) + 1];
        y[i] = (int16_t)(low + (((high - low) * (t & 255) + 128) >> 8));
    }
}

static float part_f32(const float *k, const float *dual, int32_t from, int32_t to) {
    float sum = 0.0f;
    for (int32_t i = from; i < to; i++) sum += k[i] * dual[i];
    return sum;
}

static uint32_t part_s16(const int16_t *k, const int16_t *dual, int32_t from, int32_t to) {
    uint32_t sum = 0;
    for (int32_t i = from; i < to; i++) sum += (uint32_t)(k[i] * dual[i]);
    return sum;
}

void es_svm_pairs(const es_svm_pairs_params *p, const float *k, const float *dual, const int32_t *starts,
                  const float *b, float *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->classes; i++) {
        for (int32_t j = i + 1; j < p->classes; j++) {
            const float *first = dual + (j - 1) * p->vectors, *second = dual + i * p->vectors;
            const float sum = part_f32(k, first, starts[i], starts[i + 1]);
            *y++ = sum + part_f32(k, second, starts[j], starts[j + 1]) + *b++;
        }
    }
}

void es_svm_pairs_s16(const es_svm_pairs_params *p, const int16_t *k, const int16_t *dual, const int32_t *starts,
                      const int32_t *b, int32_t *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->classes; i++) {
        for (int32_t j = i + 1; j < p->classes; j++) {
            const int16_t *first = dual + (j - 1) * p->vectors, *second = dual + i * p->vectors;
            const uint32_t sum = part_s16(k, first, starts[i], starts[i + 1]);
            *y++ = es_signed(sum + part_s16(k, second, starts[j], starts[j + 1]) + (uint32_t)*b++);
        }
    }
}

#define VOTES(NAME, INPUT)                                                                \
    void NAME(const es_pair_votes_params *p, const INPUT *d, int32_t *y, void *scratch) { \
        (void)scratch;                                                                    \
        for (int32_t k = 0; k < p->classes; k++) y[k] = 0;                                \
        for (int32_t i = 0; i < p->classes; i++) {                                        \
            for (int32_t j = i + 1; j < p->classes; j++) y[*d++ > 0 ? i : j]++;           \
        }                                                                                 \
    }

VOTES(es_pair_votes_f32, float)
VOTES(es_pair_votes_s32, int32_t)

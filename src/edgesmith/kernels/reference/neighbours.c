/* neighbours in plain C: the k nearest so far are kept in order by insertion, the first of equals in front. */
#include "edgesmith_classical.h"

#define AS_IS(v) (v)

#define NEIGHBOURS(NAME, INPUT, ORDER)                                                                       \
    size_t NAME##_scratch(const es_neighbours_params *p) {                                                   \
        return 8u * (size_t)p->k;                                                                            \
    }                                                                                                        \
                                                                                                             \
    void NAME(const es_neighbours_params *p, const INPUT *d, const uint8_t *labels, int32_t *y, void *scratch) { \
        int32_t *best = scratch, *whose = best + p->k, held = 0;                                             \
        for (int32_t row = 0; row < p->m; row++) {                                                           \
            const int32_t key = ORDER(d[row]);                                                               \
            if (held == p->k && key >= best[held - 1]) continue;                                             \
            int32_t i = held < p->k ? held++ : held - 1;                                                     \
            for (; i > 0 && best[i - 1] > key; i--) {                                                        \
                best[i] = best[i - 1];                                                                       \
                whose[i] = whose[i - 1];                                                                     \
            }                                                                                                \
            best[i] = key;                                                                                   \
            whose[i] = labels[row];                                                                          \
        }                                                                                                    \
        for (int32_t k = 0; k < p->classes; k++) y[k] = 0;                                                   \
        for (int32_t i = 0; i < held; i++) y[whose[i]]++;                                                    \
    }

NEIGHBOURS(es_neighbours_f32, float, es_order_f32)
NEIGHBOURS(es_neighbours_s32, int32_t, AS_IS)

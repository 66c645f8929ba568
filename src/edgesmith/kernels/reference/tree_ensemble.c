/* tree_ensemble and tree_ensemble_s16 in plain C. Floats are compared by the order of their bits, so that a core
 * without an FPU walks a tree in integer instructions; leaf values are added in the order of the trees. */
#include "edgesmith_classical.h"

#define AS_IS(v) (v)

#define WALK(NAME, INPUT, LIMIT, VALUE, SUM, ORDER)                                                      \
    ES_TREES(NAME, INPUT, LIMIT, VALUE, SUM) {                                                           \
        (void)scratch;                                                                                   \
        for (int32_t k = 0; k < p->outputs; k++) y[k] = base[k];                                         \
        for (int32_t tree = 0; tree < p->trees; tree++, roots += 2) {                                    \
            const int16_t *own = nodes + 3 * roots[0];                                                   \
            const LIMIT *limits = threshold + roots[0];                                                  \
            int32_t at = roots[1];                                                                       \
            while (at >= 0) {                                                                            \
                const int16_t *node = own + 3 * at;                                                      \
                at = ORDER(x[node[0]]) <= limits[at] ? node[1] : node[2];                                \
            }                                                                                            \
            const int32_t leaf = ~at;                                                                    \
            for (int32_t e = first[leaf]; e < first[leaf + 1]; e++) y[classes[e]] += values[e];          \
        }                                                                                                \
    }

WALK(es_tree_ensemble_f32, float, int32_t, float, float, es_order_f32)
WALK(es_tree_ensemble_u8, uint8_t, int16_t, float, float, AS_IS)
WALK(es_tree_ensemble_s16, int16_t, int16_t, float, float, AS_IS)
WALK(es_tree_ensemble_s16_f32, float, int32_t, int16_t, int32_t, es_order_f32)
WALK(es_tree_ensemble_s16_u8, uint8_t, int16_t, int16_t, int32_t, AS_IS)
WALK(es_tree_ensemble_s16_s16, int16_t, int16_t, int16_t, int32_t, AS_IS)

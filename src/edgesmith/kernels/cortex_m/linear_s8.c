/* linear_s8 for Cortex-M: cortex_m_linear.h. */
#define ES_BITS 8
#include "cortex_m_linear.h"

size_t es_linear_s8_scratch(const es_linear_s8_params *p) { return scratch_of(p); }

void es_linear_s8(const es_linear_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                  const int32_t *multiplier, const uint8_t *shift, int8_t *y, void *scratch) {
    multiply(p, x, w, b, multiplier, shift, y, scratch);
}

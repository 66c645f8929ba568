/* Short requantization of kernels on weights of few bits, whose scales are so large that shifts below 33 are usual:
 *     requant(acc, m, s) = requant(acc << k, m, s + k)
 * so with k = 33 - s such a channel goes the short way (cortex_m_requant.h), as long as acc << k fits 32 bits. */
#ifndef EDGESMITH_CORTEX_M_LIFT_H
#define EDGESMITH_CORTEX_M_LIFT_H

#include "cortex_m_requant.h"

static inline int32_t es_lift(uint32_t s) { return s < 33u ? (int32_t)(33u - s) : 0; }

/* Whether a channel can go the short way; most: what its sum reaches, beside the bias. */
static ES_COMPACT __attribute__((noinline, unused)) int es_lifts(uint32_t s, int32_t bias, int32_t most) {
    const int32_t room = (INT32_MAX >> (es_lift(s) & 31)) - most;
    return s >= 2u && s <= 54u && bias <= room && bias >= -room;
}

#endif

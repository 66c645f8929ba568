/* What encoder and decoder share: the shares of 2^24, and the numbers outside the tables. */
#ifndef EDGESMITH_CODE_SHARES_H
#define EDGESMITH_CODE_SHARES_H

#include "edgesmith_code.h"

#define ES_CODE_SHARE_BITS 24
#define ES_CODE_START_RANGE UINT64_MAX
#define ES_CODE_LAST_CLASS 23U
#define ES_CODE_VALUE_LIMIT (INT32_C(1) << 21)

/* The class of numbers with index + 1 bits begins where all shorter ones end. */
static inline uint32_t class_start(uint32_t index) {
    return (1U << ES_CODE_SHARE_BITS) - (1U << (ES_CODE_SHARE_BITS - index));
}

/* The last two classes are alike, so that all sum to 2^24. */
static inline uint32_t class_width(uint32_t index) {
    return index < ES_CODE_LAST_CLASS ? 1U << (ES_CODE_SHARE_BITS - 1 - index) : 2U;
}

#endif

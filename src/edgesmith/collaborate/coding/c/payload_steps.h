/* The step of one number: see edgesmith_payload.h. */
#ifndef EDGESMITH_PAYLOAD_STEPS_H
#define EDGESMITH_PAYLOAD_STEPS_H

#include "edgesmith_payload.h"

static inline uint32_t es_step(const es_payload *how, const void *values, uint32_t i) {
    if (how->table)
        return how->table[((const uint8_t *)values)[i]];
    const float value = ((const float *)values)[i];
    uint32_t reached = 0;
    for (uint32_t half = 1u << (how->bits - 1); half; half >>= 1)
        if (value >= how->thresholds[reached + half - 1])
            reached += half;
    return reached;
}

#endif

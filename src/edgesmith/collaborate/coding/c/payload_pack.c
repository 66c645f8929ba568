/* es_payload_pack: see edgesmith_payload.h. */
#include "payload_steps.h"

int32_t es_payload_pack(const es_payload *how, const void *values, uint8_t *out, uint32_t room) {
    uint32_t held = 0, count = 0, bytes = 0;
    if ((uint64_t)room * 8 < (uint64_t)how->n * how->bits)
        return ES_CODE_NO_ROOM;
    for (uint32_t i = 0; i < how->n; i++) {
        held |= es_step(how, values, i) << count;
        for (count += how->bits; count >= 8; count -= 8, held >>= 8)
            out[bytes++] = (uint8_t)held;
    }
    if (count)
        out[bytes++] = (uint8_t)held;
    return (int32_t)bytes;
}

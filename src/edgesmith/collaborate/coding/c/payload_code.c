/* es_payload_code: see edgesmith_payload.h. */
#include "payload_steps.h"

int32_t es_payload_code(const es_payload *how, const es_code *code, const void *values, int8_t *scratch, uint8_t *out,
                        uint32_t room) {
    const int32_t middle = 1 << (how->bits - 1);
    for (uint32_t i = 0; i < how->n; i++)
        scratch[i] = (int8_t)((int32_t)es_step(how, values, i) - middle);
    return es_code_encode_s8(code, scratch, how->n, out, room);
}

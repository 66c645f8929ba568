/* A tensor to what crosses a link: its numbers narrowed to even steps, packed or entropy coded.
 *
 * Layout: values as they lie in memory; packed, number i takes the bits i * bits and on of the bytes, lowest first, and
 * 0 fills up the last byte. Rounding: a number takes the step that collaborate/crossing/payload.py gives it; for floats that is
 * the number of `thresholds` it reaches, each the least float of its step, so that no arithmetic is left. NaN takes 0.
 */
#ifndef EDGESMITH_PAYLOAD_H
#define EDGESMITH_PAYLOAD_H

#include <stdint.h>

#include "edgesmith_code.h"

/* n numbers in `bits` each, at most 8. table: the step of each byte, for tensors of bytes; else 0 and thresholds:
 * 2^bits - 1 floats, ascending. */
typedef struct {
    uint32_t n, bits;
    const uint8_t *table;
    const float *thresholds;
} es_payload;

/* Packs into ceil(n * bits / 8) bytes at out. Gives their number, or ES_CODE_NO_ROOM. */
int32_t es_payload_pack(const es_payload *how, const void *values, uint8_t *out, uint32_t room);

/* Codes into at most `room` bytes at out, by way of n bytes at scratch, which may be the values themselves where those
 * are bytes. Gives the number of bytes, or an error of es_code_encode_s8. */
int32_t es_payload_code(const es_payload *how, const es_code *code, const void *values, int8_t *scratch, uint8_t *out,
                        uint32_t room);

#endif

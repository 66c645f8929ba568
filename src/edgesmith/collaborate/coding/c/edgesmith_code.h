/* Integer arrays to few bytes and back, with static frequency tables: a range coder without heap, float or division.
 *
 * Layout: x holds channels last, as activations lie in memory: value i belongs to channel i % channels. The stream takes
 * channel after channel, of each the values in order; then all values outside the tables in that order, as Elias gamma
 * numbers. It is a number in [0, 1) in bytes, the highest first, with zeros behind its end; it does not say how many
 * values it holds. The definition is edgesmith's collaborate/coding/reference.py, and these equal it byte for byte.
 *
 * Arithmetic: the low end and the width of an interval in 64 bits each, shares of 2^24, renormalized by 32 bits; carries
 * run back into what was written. Source: Martin, "Range encoding", 1979; the stream is that of the library constriction
 * (arXiv:2201.01741) but for its last bytes.
 */
#ifndef EDGESMITH_CODE_H
#define EDGESMITH_CODE_H

#include <stdint.h>

/* low: value of symbol 0. starts: symbols + 2 of them; symbol i has the share starts[i] .. starts[i + 1] of 1 << bits,
 * symbol number `symbols` is that of all other values. */
typedef struct {
    int32_t low;
    uint32_t symbols;
    const uint16_t *starts;
} es_code_table;

/* which: the table of each channel. bits: at most 15. */
typedef struct {
    uint32_t channels, bits;
    const uint8_t *which;
    const es_code_table *tables;
} es_code;

#define ES_CODE_NO_ROOM (-1) /* the stream is longer than `room`; what lies in it is of no use */
#define ES_CODE_VALUE (-2)   /* a value beyond 22 bits with sign */
#define ES_CODE_DAMAGED (-3) /* no encoder writes this stream */

/* n values of x, n and channels below 2^31, to at most `room` bytes at out. Gives the number of bytes, or an error below
 * 0. A stream whose last bytes are zeros needs room for them although they are dropped. */
int32_t es_code_encode_s8(const es_code *code, const int8_t *x, uint32_t n, uint8_t *out, uint32_t room);
int32_t es_code_encode_s32(const es_code *code, const int32_t *x, uint32_t n, uint8_t *out, uint32_t room);

/* `count` bytes to n values at y. Gives 0, or an error below 0. Any bytes may be given: it reads none beyond them,
 * writes none but y, and ends after time in proportion to n. */
int32_t es_code_decode_s8(const es_code *code, const uint8_t *data, uint32_t count, int8_t *y, uint32_t n);
int32_t es_code_decode_s32(const es_code *code, const uint8_t *data, uint32_t count, int32_t *y, uint32_t n);

#endif

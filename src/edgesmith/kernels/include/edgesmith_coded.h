/* Weights from packed codes, and floats rounded to small ones (docs/numbers.md, Packed codes). */
#ifndef EDGESMITH_CODED_H
#define EDGESMITH_CODED_H

#include <stdint.h>

/* decode_*: runs * run values of y, one scale for each run. codes: code i takes the bits i * bits and on, the lowest
 * first; with bits = 0 five codes of 0, 1, 2 to a byte, the first the least digit to base 3.
 * a, b: of a table its entries and their width; of bases their number, with runs channels and scales (bases, runs); of
 * floats the bits of exponent and mantissa, and numbers: magnitudes that are no infinity or NaN; of posits the bits of
 * the exponent. A code beyond a table is its last entry. */
typedef struct {
    int32_t runs, run, bits, a, b, numbers;
} es_decode_params;

void es_decode_group(const es_decode_params *p, const uint8_t *codes, const float *scales, float *y, void *scratch);
void es_decode_group_zeros(const es_decode_params *p, const uint8_t *codes, const float *scales, const uint8_t *zeros,
                           float *y, void *scratch);
void es_decode_table(const es_decode_params *p, const uint8_t *codes, const float *scales, const float *table, float *y,
                     void *scratch);
void es_decode_bases(const es_decode_params *p, const uint8_t *codes, const float *scales, float *y, void *scratch);
void es_decode_float(const es_decode_params *p, const uint8_t *codes, const float *scales, float *y, void *scratch);
void es_decode_posit(const es_decode_params *p, const uint8_t *codes, const float *scales, float *y, void *scratch);

/* outliers: n values, the count values at indices replaced by float16 numbers. y may be x. */
typedef struct {
    int32_t n, count;
} es_outliers_params;

void es_outliers(const es_outliers_params *p, const float *x, const uint32_t *indices, const uint16_t *values, float *y,
                 void *scratch);

/* round_float: n values. least: the least normal number, a power of two; unit: 2^-mantissa bits. y may be x. */
typedef struct {
    int32_t n;
    float scale, greatest, least, unit;
} es_round_float_params;

void es_round_float(const es_round_float_params *p, const float *x, float *y, void *scratch);

#endif

/* es_code_decode_s8: see edgesmith_code.h. */
#include <stdint.h>

typedef int8_t es_value;
#define ES_VALUE_MIN INT8_MIN
#define ES_VALUE_MAX INT8_MAX
#define ES_CODE_DECODE es_code_decode_s8
#include "code_decode.h"

/* es_code_decode_s32: see edgesmith_code.h. */
#include <stdint.h>

typedef int32_t es_value;
#define ES_VALUE_MIN INT32_MIN
#define ES_VALUE_MAX INT32_MAX
#define ES_CODE_DECODE es_code_decode_s32
#include "code_decode.h"

/* es_code_encode_s32: see edgesmith_code.h. */
#include <stdint.h>

typedef int32_t es_value;
#define ES_CODE_ENCODE es_code_encode_s32
#include "code_encode.h"

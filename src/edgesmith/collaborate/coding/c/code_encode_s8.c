/* es_code_encode_s8: see edgesmith_code.h. */
#include <stdint.h>

typedef int8_t es_value;
#define ES_CODE_ENCODE es_code_encode_s8
#include "code_encode.h"

/* quantize for Cortex-M: x * a + b in two float operations, rounded half up, saturated. Bit-equal to reference/.
 *
 * With a float unit, t + 128.5 is truncated by VCVT, which saturates and takes a NaN to 0, and clamped to a byte by
 * USAT: inside [-128, 127] that is the definition's own sum, outside it ends at the same bound. */
#include "cortex_m_requant.h"
#include "edgesmith_integer.h"

#if defined(__ARM_FP) && (__ARM_FP & 4)

static inline uint32_t nearest(float t) {
    int32_t bits;
    float shifted = t + 128.5f;
    __asm__("vcvt.s32.f32 %0, %0\n vmov %1, %0" : "+t"(shifted), "=r"(bits));
    __asm__("usat %0, #8, %1" : "=r"(bits) : "r"(bits));
    return (uint32_t)bits;
}

#else

static ES_COMPACT uint32_t nearest(float t) {
    const float floor = t >= -128.0f ? t : -128.0f; /* false for a NaN */
    const float bounded = floor <= 127.0f ? floor : 127.0f;
    return (uint32_t)(int32_t)(bounded + 128.5f);
}

#endif

static inline uint32_t scaled(float x, float a, float b) {
    const float product = x * a;
    return nearest(product + b);
}

static inline int8_t moved(uint32_t byte) { return (int8_t)((int32_t)byte - 128); }

/* n values with one a and b; four bytes are moved by 128 at once. */
static void quantize_all(const float *x, float a, float b, int8_t *y, int32_t n) {
    for (; n >= 4; n -= 4, x += 4, y += 4) {
        const uint32_t low = scaled(x[0], a, b) | scaled(x[1], a, b) << 8;
        const uint32_t high = scaled(x[2], a, b) | scaled(x[3], a, b) << 8;
        const uint32_t four = (low | high << 16) ^ 0x80808080u;
        __builtin_memcpy(y, &four, 4);
    }
    for (; n > 0; n--) *y++ = moved(scaled(*x++, a, b));
}

void es_quantize(const es_quantize_params *p, const float *x, const float *a, const float *b, int8_t *y,
                 void *scratch) {
    (void)scratch;
    if (p->step == 0) {
        quantize_all(x, *a, *b, y, p->rows * p->columns);
        return;
    }
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t c = 0; c < p->columns; c++) *y++ = moved(scaled(*x++, a[c], b[c]));
    }
}

/* max_pool2d for Cortex-M: whole cells are compared, channel by channel, four int8 at a time with SSUB8 and SEL.
 * Equal to reference/; every window has a cell inside x, and a NaN wins. */
#include "cortex_m_pool.h"
#include "cortex_m_requant.h"
#include "edgesmith_float.h"

#define LARGER(NAME, TYPE)                                                            \
    static __attribute__((noinline)) void larger_##NAME(TYPE *y, const TYPE *x, int32_t n) { \
        for (; n > 0; n--, x++, y++) {                                                \
            const TYPE cell = *x;                                                     \
            if (cell > *y || cell != cell) *y = cell;                                 \
        }                                                                             \
    }

/* The first cell is taken over, the others are compared with it. */
#define POOL(NAME, TYPE, COMPARE)                                                                            \
    ES_COMPACT void es_max_pool2d_##NAME(const es_pool2d_params *p, const TYPE *x, TYPE *y, void *scratch) { \
        const int32_t n = p->channels;                                                                       \
        (void)scratch;                                                                                       \
        for (int32_t oy = 0; oy < p->out_h; oy++) {                                                          \
            for (int32_t ox = 0; ox < p->out_w; ox++, y += n) {                                              \
                const int32_t iy = oy * p->stride_h - p->pad_top, ix = ox * p->stride_w - p->pad_left;       \
                const es_pool_window w = es_pool_window_of(p, iy, ix);                                       \
                for (int32_t c = 0; c < n; c++) y[c] = x[w.first + c];                                       \
                for (int32_t row = 0; row < w.rows; row++) {                                                 \
                    for (int32_t column = row == 0; column < w.columns; column++) {                          \
                        COMPARE(y, x + w.first + row * w.row_step + column * w.column_step, n);              \
                    }                                                                                        \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }

LARGER(f32, float)
LARGER(s8, int8_t)
LARGER(u8, uint8_t)
LARGER(s16, int16_t)
LARGER(s32, int32_t)

#if defined(__ARM_FEATURE_DSP)

/* The larger of each of four int8. The GE flags pass from one instruction to the next: one statement. */
static inline uint32_t larger_of_four(uint32_t a, uint32_t b) {
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}

static __attribute__((noinline)) void larger_four_s8(int8_t *y, const int8_t *x, int32_t n) {
    for (; n >= 4; n -= 4, x += 4, y += 4) {
        uint32_t a, b;
        __builtin_memcpy(&a, y, 4);
        __builtin_memcpy(&b, x, 4);
        a = larger_of_four(a, b);
        __builtin_memcpy(y, &a, 4);
    }
    larger_s8(y, x, n);
}

POOL(s8, int8_t, larger_four_s8)

#else

POOL(s8, int8_t, larger_s8)

#endif

POOL(f32, float, larger_f32)
POOL(u8, uint8_t, larger_u8)
POOL(s16, int16_t, larger_s16)
POOL(s32, int32_t, larger_s32)

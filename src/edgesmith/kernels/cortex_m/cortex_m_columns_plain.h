/* Tiles in plain C, for cores without the DSP instructions. */
#ifndef EDGESMITH_CORTEX_M_COLUMNS_PLAIN_H
#define EDGESMITH_CORTEX_M_COLUMNS_PLAIN_H

#define UNUSED __attribute__((unused)) /* what only assembly reads */

#if ES_BITS == 8

#if defined(__ARM_ARCH_7M__)

/* One activation of four pixels: 8 multiply-accumulates in 14 instructions. Loads lie together, where they overlap. */
#define LANE(x0, x1, x2, x3)                       \
    "ldrsh r12, [r1], #2\n"                        \
    "ldrsh r2, [r0, #" x0 "]\n"                    \
    "ldrsh r3, [r0, #" x1 "]\n"                    \
    "sxtb lr, r12\n"                               \
    "mla r8, r2, r12, r8\n"                        \
    "mla r4, r2, lr, r4\n"                         \
    "mla r9, r3, r12, r9\n"                        \
    "mla r5, r3, lr, r5\n"                         \
    "ldrsh r2, [r0, #" x2 "]\n"                    \
    "ldrsh r3, [r0, #" x3 "]\n"                    \
    "mla r10, r2, r12, r10\n"                      \
    "mla r6, r2, lr, r6\n"                         \
    "mla r11, r3, r12, r11\n"                      \
    "mla r7, r3, lr, r7\n"
#define WORD LANE("0", "4", "8", "12") LANE("2", "6", "10", "14") "add r0, r0, #16\n"

/* Adds to sums A (four) and S (four) of four pixels; x up to end, which lies beyond it. */
void es_sums4(const void *x, const int8_t *w, const void *end, uint32_t *sums);
__attribute__((weak, naked)) void es_sums4(const void *x UNUSED, const int8_t *w UNUSED, const void *end UNUSED,
                                           uint32_t *sums UNUSED) {
    __asm__ volatile(
        "push {r2-r11, lr}\n"
        "ldmia r3, {r4-r11}\n"
        "sub r12, r2, r0\n"
        "tst r12, #16\n"
        "bne 2f\n"
        "1:\n" WORD
        "2:\n" WORD
        "ldr r2, [sp]\n"
        "cmp r0, r2\n"
        "bne 1b\n"
        "ldr r3, [sp, #4]\n"
        "stmia r3, {r4-r11}\n"
        "add sp, sp, #8\n"
        "pop {r4-r11, pc}\n");
}

#endif

#if defined(__ARM_ARCH_6M__)

/* One activation of a pixel, x taken from its word by `take`: two products in 6 instructions. */
#define PRODUCTS(take, a, s)                       \
    take "muls r7, r5, r7\n"                       \
    "add " s ", r7\n"                              \
    take "muls r7, r6, r7\n"                       \
    "add " a ", r7\n"

/* Two pixels of columns: their sums A, then S; `skip` bytes lie between their words and the next. */
typedef struct {
    uint32_t sums[4], skip;
} es_pair_of_pixels;

/* Adds to the sums; x up to end, which lies beyond it. Sums in r8-r11, skip in r12, end in lr. */
void es_sums2(const void *x, const int8_t *w, const void *end, es_pair_of_pixels *pixels);
__attribute__((weak, naked)) void es_sums2(const void *x UNUSED, const int8_t *w UNUSED, const void *end UNUSED,
                                           es_pair_of_pixels *pixels UNUSED) {
    __asm__ volatile(
        "push {r4-r7, lr}\n"
        "mov r4, r8\n"
        "mov r5, r9\n"
        "mov r6, r10\n"
        "mov r7, r11\n"
        "push {r3-r7}\n"
        "mov lr, r2\n"
        "ldmia r3!, {r4-r7}\n"
        "mov r8, r4\n"
        "mov r9, r5\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "ldr r4, [r3]\n"
        "mov r12, r4\n"
        "1:\n"
        "ldmia r1!, {r2}\n"
        "ldmia r0!, {r3, r4}\n"
        "add r0, r12\n"
        "sxth r5, r2\n"
        "sxtb r6, r5\n"
        PRODUCTS("sxth r7, r3\n", "r8", "r10") PRODUCTS("sxth r7, r4\n", "r9", "r11")
        "asrs r5, r2, #16\n"
        "sxtb r6, r5\n"
        PRODUCTS("asrs r7, r3, #16\n", "r8", "r10") PRODUCTS("asrs r7, r4, #16\n", "r9", "r11")
        "cmp r0, lr\n"
        "bne 1b\n"
        "pop {r3}\n"
        "mov r4, r8\n"
        "mov r5, r9\n"
        "mov r6, r10\n"
        "mov r7, r11\n"
        "stmia r3!, {r4-r7}\n"
        "pop {r4-r7}\n"
        "mov r8, r4\n"
        "mov r9, r5\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "pop {r4-r7, pc}\n");
}

#endif

/* Adds to sums A and S of P pixels over some words of their columns; P is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void es_sums(const uint32_t *x, const int8_t *w, int32_t words, int32_t P,
                                                          uint32_t *a, uint32_t *s) {
#if defined(__ARM_ARCH_7M__)
    if (P == 4) { /* s lies behind a */
        es_sums4(x, w, x + words * P, a);
        return;
    }
#elif defined(__ARM_ARCH_6M__)
    for (int32_t p = 0; p + 1 < P; p += 2) {
        es_pair_of_pixels pixels = {{a[p], a[p + 1], s[p], s[p + 1]}, (uint32_t)(4 * P - 8)};
        es_sums2(x + p, w, x + p + words * P, &pixels);
        a[p] = pixels.sums[0];
        a[p + 1] = pixels.sums[1];
        s[p] = pixels.sums[2];
        s[p + 1] = pixels.sums[3];
    }
    if (P > 1) return;
#endif
    const int16_t *lane = (const int16_t *)(const void *)x, *packed = (const int16_t *)(const void *)w;
    for (const int16_t *end = packed + 2 * words; packed < end; packed += 2, lane += 2 * P) {
        for (int32_t i = 0; i < 2; i++) {
            const int32_t both = packed[i], first = (int8_t)both;
            for (int32_t p = 0; p < P; p++) {
                s[p] += (uint32_t)(lane[2 * p + i] * both);
                a[p] += (uint32_t)(lane[2 * p + i] * first);
            }
        }
    }
}

#else

/* Adds to sums A + c and B + c of P pixels; P is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void es_code_sums(const uint32_t *x, const int8_t *w, int32_t words,
                                                               int32_t P, uint32_t *a, uint32_t *b) {
    const int16_t *lane = (const int16_t *)(const void *)x;
    for (int32_t j = 0; j < words; j++, lane += 2 * P) {
        for (int32_t i = 0; i < 2; i++) {
            const int32_t codes = es_lane_codes(w, 2 * j + i), first = es_code_a(codes), second = es_code_b(codes);
            for (int32_t p = 0; p < P; p++) {
                a[p] += (uint32_t)(lane[2 * p + i] * first);
                b[p] += (uint32_t)(lane[2 * p + i] * second);
            }
        }
    }
}

#endif

/* The pairs of channels from t->w to t->w_end, P pixels. Every channel is usual. */
static inline __attribute__((always_inline)) void es_tile_of(const es_tile *t, int32_t P) {
    const int32_t pair_bytes = es_pair_bytes(t->words);
    int32_t o = 0;
    for (const int8_t *w = t->w; w < t->w_end; w += pair_bytes, o += 2) {
        const int32_t o_b = o + t->second;
        uint32_t sums[8], b[4];
        uint32_t *a = sums;
        for (int32_t p = 0; p < P; p++) {
            a[p] = (uint32_t)t->bias[o];
            b[p] = (uint32_t)t->bias[o_b];
        }
#if ES_BITS == 8
        uint32_t *s = sums + 4;
        for (int32_t done = 0; done < t->words; done += ES_CHUNK_WORDS) {
            const int32_t left = t->words - done, words = left < ES_CHUNK_WORDS ? left : ES_CHUNK_WORDS;
            for (int32_t p = 0; p < P; p++) s[p] = a[p];
            es_sums(t->x + done * P, w + 4 * done, words, P, a, s);
            for (int32_t p = 0; p < P; p++) b[p] += (uint32_t)((int32_t)(s[p] - a[p]) >> 8);
        }
#else
        for (int32_t p = 0; p < P; p++) {
            a[p] -= (uint32_t)t->carry[p];
            b[p] -= (uint32_t)t->carry[p];
        }
        es_code_sums(t->x, w, t->words, P, a, b);
#endif
        const int32_t lift = es_lift_of(t->shift[o]), lift_b = es_lift_of(t->shift[o_b]);
        const es_channel first = es_channel_of(t->multiplier[o], t->shift[o] + (uint32_t)lift, t->y_zero);
        const es_channel second = es_channel_of(t->multiplier[o_b], t->shift[o_b] + (uint32_t)lift_b, t->y_zero);
        for (int32_t p = 0; p < P; p++) {
            t->y[p * t->y_step + o_b] = es_channel_apply(second, (int32_t)(b[p] << lift_b));
            t->y[p * t->y_step + o] = es_channel_apply(first, (int32_t)(a[p] << lift));
        }
    }
}

static __attribute__((noinline, unused)) void ES_TILE(4)(const es_tile *t) { es_tile_of(t, 4); }
static __attribute__((noinline, unused)) void ES_TILE(2)(const es_tile *t) { es_tile_of(t, 2); }
static __attribute__((noinline, unused)) void ES_TILE(1)(const es_tile *t) { es_tile_of(t, 1); }

/* sum and both lanes. */
static inline uint32_t es_add_lanes(uint32_t lanes, uint32_t sum) {
    return sum + (uint32_t)(int16_t)lanes + (uint32_t)(int16_t)(lanes >> 16);
}

/* Four activations as (x0,x2), (x1,x3). */
static inline void es_widen4(const int8_t *x, uint32_t *even, uint32_t *odd) {
    *even = es_lanes(x[0], x[2]);
    *odd = es_lanes(x[1], x[3]);
}

#endif

/* What cortex_m_row.h does with each word of weights of four or two bits. */
#ifndef EDGESMITH_CORTEX_M_ROW_PACKED_H
#define EDGESMITH_CORTEX_M_ROW_PACKED_H

/* What the offset of the codes adds to each sum over these activations. */
static ES_COMPACT __attribute__((noinline, unused)) uint32_t es_row_offset(const int8_t *x, int32_t n) {
    uint32_t sum = 0;
    for (; n >= 4; n -= 4, x += 4) {
        uint32_t even, odd;
        es_widen4(x, &even, &odd);
        sum = es_add_lanes(even, es_add_lanes(odd, sum));
    }
    for (; n > 0; n--, x++) sum += (uint32_t)*x;
    return sum << (ES_BITS - 1);
}

/* The last activations, fewer than a step, from the word at w on: fours in the order of their lanes, then in sequence. */
static ES_COMPACT __attribute__((noinline, unused)) void es_row_rest(const int8_t *x, int32_t n, const int8_t *w,
                                                                     int32_t w_step, es_row_sums *sums) {
    for (int32_t i = 0; i < n; i++) {
        const int32_t turned = (i & ~3) | ((i & 1) << 1) | ((i >> 1) & 1), lane = i < (n & ~3) ? turned : i;
        for (int32_t pair = 0; pair < ES_ROW_PAIRS; pair++) {
            const int32_t codes = es_lane_codes(w + pair * w_step, lane);
            sums[pair].s += (uint32_t)(x[i] * codes);
            sums[pair].a += (uint32_t)(x[i] * es_code_a(codes));
        }
    }
}

#if defined(__ARM_FEATURE_DSP)

/* Two activations with one pair's lanes, taken from the word p by `lanes`. */
#define ROW_PRODUCTS(x, s, a, lanes)                   \
    lanes                                          \
    "smlad %[" s "], %[" x "], %[v], %[" s "]\n"   \
    "smlad %[" a "], %[" x "], %[u], %[" a "]\n"
#define ACTIVATIONS                                \
    "ldr %[odd], [%[x]], #4\n"                     \
    "sxtb16 %[even], %[odd]\n"                     \
    "sxtb16 %[odd], %[odd], ror #8\n"
#define ROW_LOAD(w, step) "ldr %[p], [%[" w "]]" step "\n"

#if ES_BITS == 4
#define ROW_LANES(rotated)                             \
    "uxtb16 %[v], %[p]" rotated "\n"               \
    "and %[u], %[v], #0x000f000f\n"
#define PAIR(w, s, a)                              \
    ROW_LOAD(w, ", #4")                                \
    ROW_PRODUCTS("even", s, a, ROW_LANES("")) ROW_PRODUCTS("odd", s, a, ROW_LANES(", ror #8"))
#define ROW_STEP ACTIVATIONS PAIR("w", "s0", "a0") PAIR("second", "s1", "a1")
#else
#define ROW_LANES(from)                                \
    "and %[u], " from ", #0x00030003\n"            \
    "and %[v], " from ", #0x000f000f\n"
#define ROW_SHIFTED(places) "lsr %[v], %[p], #" places "\n" ROW_LANES("%[v]")
#define PAIR_LOW(w, s, a)                          \
    ROW_LOAD(w, "")                                    \
    ROW_PRODUCTS("even", s, a, ROW_LANES("%[p]")) ROW_PRODUCTS("odd", s, a, ROW_SHIFTED("8"))
#define PAIR_HIGH(w, s, a)                         \
    ROW_LOAD(w, ", #4")                                \
    ROW_PRODUCTS("even", s, a, ROW_SHIFTED("4")) ROW_PRODUCTS("odd", s, a, ROW_SHIFTED("12"))
#define ROW_STEP                                   \
    ACTIVATIONS PAIR_LOW("w", "s0", "a0") PAIR_LOW("second", "s1", "a1") \
    ACTIVATIONS PAIR_HIGH("w", "s0", "a0") PAIR_HIGH("second", "s1", "a1")
#endif

/* The steps of activations from x to end, with the pairs at w and w + w_step. */
static __attribute__((noinline, unused)) void es_row_steps(const int8_t *x, const int8_t *end, const int8_t *w,
                                                           int32_t w_step, es_row_sums *sums) {
    const int8_t *second = w + w_step;
    uint32_t s0 = 0, a0 = 0, s1 = 0, a1 = 0, even, odd, p, v, u;
    __asm__ volatile(
        "1:\n"
        ROW_STEP
        "cmp %[x], %[end]\n"
        "bne 1b\n"
        : [x] "+&r"(x), [w] "+&r"(w), [second] "+&r"(second), [s0] "+&r"(s0), [a0] "+&r"(a0), [s1] "+&r"(s1),
          [a1] "+&r"(a1), [even] "=&r"(even), [odd] "=&r"(odd), [p] "=&r"(p), [v] "=&r"(v), [u] "=&r"(u)
        : [end] "r"(end)
        : "cc", "memory");
    sums[0] = (es_row_sums){s0, a0};
    sums[1] = (es_row_sums){s1, a1};
}

#else

static __attribute__((noinline, unused)) void es_row_steps(const int8_t *x, const int8_t *end, const int8_t *w,
                                                           int32_t w_step, es_row_sums *sums) {
    const int32_t n = (int32_t)(end - x);
    for (int32_t pair = 0; pair < ES_ROW_PAIRS; pair++, x -= n, w += w_step - n * ES_BITS / 4) {
        uint32_t s = 0, a = 0;
        for (; x < end; x += ES_STEP, w += 4) {
            for (int32_t i = 0; i < ES_STEP; i++) { /* byte i of the word has activation i, and i + 4 above it */
                const int32_t codes = ((uint8_t)w[i & 3] >> (4 * (i >> 2))) & ((1 << (2 * ES_BITS)) - 1);
                s += (uint32_t)(x[i] * codes);
                a += (uint32_t)(x[i] * es_code_a(codes));
            }
        }
        sums[pair] = (es_row_sums){s, a};
    }
}

#endif

#endif

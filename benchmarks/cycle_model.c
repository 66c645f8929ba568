/* The inner scheme of CMSIS-NN's int8 convolution on cores with DSP instructions, written from its description: im2col of
 * two pixels to int16, then two pixels by two channels, four inputs a step: widen (SXTB16) and multiply (SMLAD).
 * Only its mix of instruction classes is used. */
#include <stdint.h>

#define INPUTS 576
#define CHANNELS 64
int8_t weights[CHANNELS * INPUTS];
int8_t image[2 * INPUTS];
int16_t columns[2 * INPUTS];
int32_t bias[CHANNELS], multiplier[CHANNELS], shift[CHANNELS];
int8_t out[2 * CHANNELS];

static inline int32_t smlad(uint32_t a, uint32_t b, int32_t c) {
    int32_t r;
    __asm__("smlad %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
}
static inline uint32_t even(uint32_t a) {
    uint32_t r;
    __asm__("sxtb16 %0, %1" : "=r"(r) : "r"(a));
    return r;
}
static inline uint32_t odd(uint32_t a) {
    uint32_t r;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(r) : "r"(a));
    return r;
}
static inline uint32_t word(const void *p) {
    uint32_t r;
    __builtin_memcpy(&r, p, 4);
    return r;
}
static inline void widen(const int8_t **p, uint32_t *low, uint32_t *high) {
    const uint32_t four = word(*p), a = even(four), b = odd(four);
    *p += 4;
    __asm__("pkhbt %0, %2, %3, lsl #16\n pkhtb %1, %3, %2, asr #16" : "=&r"(*low), "=r"(*high) : "r"(a), "r"(b));
}
static inline int8_t requantize(int32_t acc, int32_t m, int32_t s) {
    int32_t v = (int32_t)(((int64_t)acc * m + (1 << 30)) >> 31);
    v = (v + (1 << (s - 1))) >> s;
    return (int8_t)(v > 127 ? 127 : v < -128 ? -128 : v);
}

int convolve(int pairs);
int convolve(int pairs) {
    for (int p = 0; p < pairs; p++) {
        for (int i = 0; i < 2 * INPUTS; i += 4) {
            const uint32_t four = word(image + i);
            const uint32_t a = even(four), b = odd(four);
            uint32_t low, high;
            __asm__("pkhbt %0, %2, %3, lsl #16\n pkhtb %1, %3, %2, asr #16" : "=&r"(low), "=r"(high) : "r"(a), "r"(b));
            __builtin_memcpy(columns + i, &low, 4);
            __builtin_memcpy(columns + i + 2, &high, 4);
        }
        for (int c = 0; c < CHANNELS; c += 2) {
            const int8_t *w0 = weights + c * INPUTS, *w1 = w0 + INPUTS;
            const int16_t *x0 = columns, *x1 = columns + INPUTS;
            int32_t a = bias[c], b = a, d = bias[c + 1], e = d;
#pragma clang loop unroll(disable)
            for (int i = 0; i < INPUTS; i += 4) {
                uint32_t w0l, w0h, w1l, w1h, y0, y1;
                widen(&w0, &w0l, &w0h);
                widen(&w1, &w1l, &w1h);
                y0 = word(x0), y1 = word(x1);
                a = smlad(w0l, y0, a), b = smlad(w0l, y1, b), d = smlad(w1l, y0, d), e = smlad(w1l, y1, e);
                y0 = word(x0 + 2), y1 = word(x1 + 2);
                a = smlad(w0h, y0, a), b = smlad(w0h, y1, b), d = smlad(w1h, y0, d), e = smlad(w1h, y1, e);
                x0 += 4, x1 += 4;
            }
            out[c] = requantize(a, multiplier[c], shift[c] + 1), out[c + CHANNELS] = requantize(b, multiplier[c], shift[c] + 1);
            out[c + 1] = requantize(d, multiplier[c], shift[c] + 1), out[c + 1 + CHANNELS] = requantize(e, multiplier[c], shift[c] + 1);
        }
    }
    return out[5];
}

/* The inner scheme of CMSIS-NN's int8 fully connected layer: two rows by four inputs a step, the input offset added while
 * widening (SXTAB16). */
static inline uint32_t even_plus(uint32_t offset, uint32_t a) {
    uint32_t r;
    __asm__("sxtab16 %0, %1, %2" : "=r"(r) : "r"(offset), "r"(a));
    return r;
}
static inline uint32_t odd_plus(uint32_t offset, uint32_t a) {
    uint32_t r;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(r) : "r"(offset), "r"(a));
    return r;
}

int8_t matrix[640 * 128], vector[640];
int32_t biases[640];
volatile uint32_t offset_pair = 0x00800080u;

static void dense(int inputs, int outputs) {
    const uint32_t offset = offset_pair;
    for (int o = 0; o < outputs; o += 2) {
        const int8_t *w0 = matrix + o * inputs, *w1 = w0 + inputs;
        int32_t a = biases[o], b = biases[o + 1];
#pragma clang loop unroll(disable)
        for (int i = 0; i < inputs; i += 4) {
            const uint32_t four = word(vector + i), x0 = even_plus(offset, four), x1 = odd_plus(offset, four);
            const uint32_t v0 = word(w0 + i), v1 = word(w1 + i);
            a = smlad(odd(v0), x1, a), a = smlad(even(v0), x0, a);
            b = smlad(odd(v1), x1, b), b = smlad(even(v1), x0, b);
        }
        image[o] = requantize(a, multiplier[0], 7), image[o + 1] = requantize(b, multiplier[0], 7);
    }
}

/* MLPerf Tiny's fc-autoencoder: 264,192 multiply-accumulates. */
int autoencoder(void);
int autoencoder(void) {
    dense(640, 128);
    for (int layer = 0; layer < 3; layer++) dense(128, 128);
    dense(128, 8);
    dense(8, 128);
    for (int layer = 0; layer < 3; layer++) dense(128, 128);
    dense(128, 640);
    return image[3];
}

/* exp, log, tanh, erf, sqrt, sin and cos in float without libm. Within 2 units in the last place (erf: 4).
 * Ranges are reduced as in Cephes (Moshier 1992), whose single-precision minimax coefficients exp, log, tanh, sin
 * and cos use; erf's are our own fits (Remez) on the interval named beside them. */
#ifndef EDGESMITH_MATH_H
#define EDGESMITH_MATH_H

#include <stdint.h>

static inline uint32_t es_bits(float x) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float es_from_bits(uint32_t bits) {
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^n, -126 <= n <= 127. */
static inline float es_power_of_two(int32_t n) {
    return es_from_bits((uint32_t)(n + 127) << 23);
}

static inline float es_expf(float x) {
    if (x > 88.8f) return __builtin_inff();
    if (x < -104.0f) return 0.0f;
    if (x != x) return x;
    const float turns = x * 1.44269504f;
    const int32_t n = (int32_t)(turns < 0.0f ? turns - 0.5f : turns + 0.5f);
    const float r = (x - (float)n * 0.693359375f) - (float)n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const int32_t half = n / 2; /* two factors: 2^128 and the subnormals have none of their own */
    return (p * r * r + r + 1.0f) * es_power_of_two(half) * es_power_of_two(n - half);
}

static inline float es_logf(float x) {
    if (x != x || x == __builtin_inff()) return x;
    if (x <= 0.0f) return x < 0.0f ? __builtin_nanf("") : -__builtin_inff();
    int32_t e = 0;
    if (x < 0x1p-126f) {
        x *= 0x1p24f;
        e = -24;
    }
    e += (int32_t)(es_bits(x) >> 23) - 126;
    float m = es_from_bits((es_bits(x) & 0x007fffffu) | 0x3f000000u); /* [0.5, 1) */
    if (m < 0.707106781f) {
        m = m + m;
        e -= 1;
    }
    m -= 1.0f;
    const float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    const float tail = (p * m * z + (float)e * -2.12194440e-4f) - 0.5f * z;
    return m + tail + (float)e * 0.693359375f;
}

static inline float es_tanhf(float x) {
    const float size = x < 0.0f ? -x : x;
    if (size < 0.625f) {
        const float z = x * x;
        float p = -5.70498872745e-3f;
        p = p * z + 2.06390887954e-2f;
        p = p * z - 5.37397155531e-2f;
        p = p * z + 1.33314422036e-1f;
        p = p * z - 3.33332819422e-1f;
        return p * z * x + x;
    }
    const float y = 1.0f - 2.0f / (es_expf(size + size) + 1.0f);
    return x < 0.0f ? -y : y; /* a NaN stays one */
}

static inline float es_sigmoidf(float x) {
    return 1.0f / (1.0f + es_expf(-x));
}

/* Heron's iteration from an estimate by halving the exponent (within 4%): 4% -> 6e-4 -> 2e-7 -> rounding. */
static inline float es_sqrtf(float x) {
    if (x == 0.0f || x != x || x == __builtin_inff()) return x;
    if (x < 0.0f) return __builtin_nanf("");
    const int tiny = x < 0x1p-126f;
    if (tiny) x *= 0x1p24f;
    float s = es_from_bits(0x1fbd1df5u + (es_bits(x) >> 1));
    s = 0.5f * (s + x / s);
    s = 0.5f * (s + x / s);
    s = 0.5f * (s + x / s);
    return tiny ? s * 0x1p-12f : s;
}

/* cos and sin of 2 * pi * k / n, 0 <= k < n / 2, n a power of two. */
static inline void es_turn(int32_t k, int32_t n, float *cosine, float *sine) {
    const int32_t eighth = (int32_t)(8 * (int64_t)k / n); /* 0 .. 3 */
    const int32_t quarter = (eighth + 1) / 2;             /* nearest multiple of a quarter turn: 0, 1 or 2 */
    const float angle = 6.28318531f * ((float)(4 * (int64_t)k - (int64_t)quarter * n) / (4.0f * (float)n));
    const float z = angle * angle;
    const float s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * angle + angle;
    const float p = (2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f;
    const float c = p * z * z - 0.5f * z + 1.0f;
    *cosine = quarter == 0 ? c : quarter == 1 ? -s : -c;
    *sine = quarter == 0 ? s : quarter == 1 ? c : -s;
}

/* |x| < 1: x * P(x^2), error 1.3e-9 of erf. 1 to 4: 1 - exp(-x^2) * Q(1 / (1 + x/2)), error 4e-11. */
static inline float es_erff(float x) {
    const float size = x < 0.0f ? -x : x, z = x * x;
    if (size < 1.0f) {
        float p = 7.853851423e-05f;
        p = p * z - 8.010190370e-04f;
        p = p * z + 5.188327275e-03f;
        p = p * z - 2.685381169e-02f;
        p = p * z + 1.128358514e-01f;
        p = p * z - 3.761262582e-01f;
        p = p * z + 1.128379166e+00f;
        return p * x;
    }
    if (size >= 4.0f) return x < 0.0f ? -1.0f : 1.0f;
    const float t = 1.0f / (1.0f + 0.5f * size);
    float q = -2.308016028e-01f;
    q = q * t + 6.366798238e-01f;
    q = q * t - 6.446039174e-02f;
    q = q * t + 3.968019362e-01f;
    q = q * t + 2.597006536e-01f;
    q = q * t + 1.822477149e-03f;
    const float y = 1.0f - es_expf(-z) * q;
    return x < 0.0f ? -y : y; /* a NaN stays one */
}

#endif

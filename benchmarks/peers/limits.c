/* What one core can do at most, for limits.py: int8 multiply-accumulates from registers, and bytes read from memory. */
#include "x86_level.h"

/* int8 multiply-accumulates of one loop of peak(): 16 instructions. */
int32_t macs_a_loop(void);
int32_t macs_a_loop(void) {
    return es_x86_level() == ES_X86_VNNI ? 16 * 64 : 8 * 16;
}

/* 16 independent chains of vpdpbusd, as many as hide its latency. */
ES_FOR_VNNI static int32_t peak_vnni(int64_t loops) {
    __m512i acc[16];
    const __m512i x = _mm512_set1_epi8(3), w = _mm512_set1_epi8(-5);
    for (int32_t i = 0; i < 16; i++) acc[i] = _mm512_set1_epi32(i);
    for (int64_t loop = 0; loop < loops; loop++) {
        for (int32_t i = 0; i < 16; i++) {
            acc[i] = _mm512_dpbusd_epi32(acc[i], x, w);
            __asm__ volatile("" : "+v"(acc[i]));
        }
    }
    __m512i sum = acc[0];
    for (int32_t i = 1; i < 16; i++) sum = _mm512_add_epi32(sum, acc[i]);
    return _mm512_reduce_add_epi32(sum);
}

/* vpmaddwd and an addition: what int8 takes without VNNI if nothing may saturate. */
ES_FOR_AVX2 static int32_t peak_avx2(int64_t loops) {
    __m256i acc[8];
    __m256i x = _mm256_set1_epi16(3);
    const __m256i w = _mm256_set1_epi16(-5);
    for (int32_t i = 0; i < 8; i++) acc[i] = _mm256_set1_epi32(i);
    for (int64_t loop = 0; loop < loops; loop++) {
        for (int32_t i = 0; i < 8; i++) {
            __asm__ volatile("" : "+x"(x));
            acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(x, w));
        }
    }
    int32_t all[8], sum = 0;
    for (int32_t i = 1; i < 8; i++) acc[0] = _mm256_add_epi32(acc[0], acc[i]);
    _mm256_storeu_si256((__m256i *)(void *)all, acc[0]);
    for (int32_t i = 0; i < 8; i++) sum += all[i];
    return sum;
}

int32_t peak(int64_t loops);
int32_t peak(int64_t loops) {
    return es_x86_level() == ES_X86_VNNI ? peak_vnni(loops) : peak_avx2(loops);
}

ES_FOR_AVX2 static int64_t read_avx2(const uint8_t *x, int64_t bytes) {
    __m256i sum[8];
    int64_t all[4];
    for (int32_t i = 0; i < 8; i++) sum[i] = _mm256_setzero_si256();
    for (int64_t at = 0; at + 256 <= bytes; at += 256) {
        for (int32_t i = 0; i < 8; i++) {
            const __m256i *p = (const __m256i *)(const void *)(x + at + 32 * i);
            sum[i] = _mm256_add_epi64(sum[i], _mm256_loadu_si256(p));
        }
    }
    for (int32_t i = 1; i < 8; i++) sum[0] = _mm256_add_epi64(sum[0], sum[i]);
    _mm256_storeu_si256((__m256i *)(void *)all, sum[0]);
    return all[0] + all[1] + all[2] + all[3];
}

int64_t read_all(const uint8_t *x, int64_t bytes);
int64_t read_all(const uint8_t *x, int64_t bytes) {
    return read_avx2(x, bytes);
}

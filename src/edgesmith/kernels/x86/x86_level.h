/* Instruction sets of x86-64 that the kernels have bodies for, chosen when a kernel runs: one program serves a machine
 * with AVX-512 VNNI, one with AVX2 and one with neither. All bodies are bit-equal to reference/.
 *
 * A body carries its own target attribute, so the file is compiled for any x86-64. ES_X86_MOST, if defined, is the
 * highest level that is taken: for tests. */
#ifndef EDGESMITH_X86_LEVEL_H
#define EDGESMITH_X86_LEVEL_H

#include <cpuid.h>
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define ES_X86_PLAIN 0
#define ES_X86_AVX2 1
#define ES_X86_VNNI 2 /* AVX512F, BW, VL and VNNI */
#ifndef ES_X86_MOST
#define ES_X86_MOST ES_X86_VNNI
#endif

#define ES_FOR_AVX2 __attribute__((target("avx2")))
#define ES_FOR_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define ES_INLINE static inline __attribute__((always_inline))

/* What the processor has and the operating system saves (Intel SDM volume 1, sections 14.3, 14.5 and 15.2). */
static inline int32_t es_x86_detect(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid_count(1, 0, &a, &b, &c, &d) || !(c >> 27 & 1)) return ES_X86_PLAIN; /* OSXSAVE */
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    if ((low & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b >> 5 & 1)) return ES_X86_PLAIN;
    const unsigned foundation = (b >> 16) & (b >> 30) & (b >> 31) & 1; /* F, BW, VL */
    return (low & 0xe6) == 0xe6 && foundation && (c >> 11 & 1) ? ES_X86_VNNI : ES_X86_AVX2;
}

/* Asked once for each file, since the question is slow on a virtual machine; threads that ask together agree. */
static inline int32_t es_x86_level(void) {
    static int32_t known = -1;
    int32_t level = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (level < 0) {
        level = es_x86_detect();
        __atomic_store_n(&known, level, __ATOMIC_RELAXED);
    }
    return level < ES_X86_MOST ? level : ES_X86_MOST;
}

/* DEFINE a static function of this name for each level from an inlined BODY(arguments, level). */
#define ES_X86_BODIES(NAME, BODY, PARAMETERS, ARGUMENTS)                                        \
    static void NAME##_plain PARAMETERS { BODY(ES_X86_OPEN ARGUMENTS, ES_X86_PLAIN); }           \
    ES_FOR_AVX2 static void NAME##_avx2 PARAMETERS { BODY(ES_X86_OPEN ARGUMENTS, ES_X86_AVX2); } \
    ES_FOR_VNNI static void NAME##_vnni PARAMETERS { BODY(ES_X86_OPEN ARGUMENTS, ES_X86_VNNI); } \
    static void NAME PARAMETERS {                                                               \
        const int32_t level = es_x86_level();                                                   \
        if (level == ES_X86_VNNI) {                                                             \
            NAME##_vnni ARGUMENTS;                                                              \
        } else if (level == ES_X86_AVX2) {                                                      \
            NAME##_avx2 ARGUMENTS;                                                              \
        } else {                                                                                \
            NAME##_plain ARGUMENTS;                                                             \
        }                                                                                       \
    }
#define ES_X86_OPEN(...) __VA_ARGS__

#endif

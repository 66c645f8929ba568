/* memcpy, memmove, memset, memcmp for firmware without a C library. Compiled with -fno-builtin, else each would call
 * itself. Words where both ends are aligned, bytes elsewhere: Cortex-M0+ faults on unaligned words. */
#include <stddef.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
int memcmp(const void *a, const void *b, size_t count);

__attribute__((used)) void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((((uintptr_t)d | (uintptr_t)s) & 3u) == 0) {
        for (; count >= 16; count -= 16, d += 16, s += 16) {
            ((word *)(void *)d)[0] = ((const word *)(const void *)s)[0];
            ((word *)(void *)d)[1] = ((const word *)(const void *)s)[1];
            ((word *)(void *)d)[2] = ((const word *)(const void *)s)[2];
            ((word *)(void *)d)[3] = ((const word *)(const void *)s)[3];
        }
        for (; count >= 4; count -= 4, d += 4, s += 4) *(word *)(void *)d = *(const word *)(const void *)s;
    }
    while (count-- > 0) *d++ = *s++;
    return to;
}

__attribute__((used)) void *memmove(void *to, const void *from, size_t count) {
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((uintptr_t)d <= (uintptr_t)s) return memcpy(to, from, count);
    while (count-- > 0) d[count] = s[count];
    return to;
}

__attribute__((used)) void *memset(void *to, int value, size_t count) {
    uint8_t *d = to;
    const uint32_t four = 0x01010101u * (uint8_t)value;
    for (; count > 0 && ((uintptr_t)d & 3u) != 0; count--) *d++ = (uint8_t)value;
    for (; count >= 4; count -= 4, d += 4) *(word *)(void *)d = four;
    while (count-- > 0) *d++ = (uint8_t)value;
    return to;
}

__attribute__((used)) int memcmp(const void *a, const void *b, size_t count) {
    const uint8_t *x = a, *y = b;
    for (; count > 0; count--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}

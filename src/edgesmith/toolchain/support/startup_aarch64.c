/* Start of an AArch64 program without an operating system, as it is emulated: stack, .data from the image, .bss to
 * zero, then main. */
#include <stdint.h>

extern uint32_t _sidata[], _sdata[], _edata[], _sbss[], _ebss[], _estack[];

void Reset_Handler(void);
void edgesmith_start(void);
void edgesmith_booted(void);
void edgesmith_halt(void);
int main(void);

__attribute__((used, noinline)) void edgesmith_halt(void) {
    for (;;) __asm__ volatile("");
}

__attribute__((used, noinline)) void edgesmith_booted(void) { __asm__ volatile(""); }

__attribute__((used, noreturn)) void edgesmith_start(void) {
    volatile uint32_t *from = _sidata, *to = _sdata;
    while (to < _edata) *to++ = *from++;
    for (to = _sbss; to < _ebss;) *to++ = 0;
    edgesmith_booted();
    (void)main();
    edgesmith_halt();
    for (;;) __asm__ volatile("");
}

__attribute__((naked, used, section(".vectors"))) void Reset_Handler(void) {
    __asm__ volatile("adrp x0, _estack\n add x0, x0, :lo12:_estack\n mov sp, x0\n b edgesmith_start");
}

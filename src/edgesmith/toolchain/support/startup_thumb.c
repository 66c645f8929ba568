/* Start of a Cortex-M: vector table, .data from flash, .bss to zero, FPU on, then main where there is one.
 * Source: ARMv7-M Architecture Reference Manual (DDI 0403E) B1.5.2 vector table, B3.2.20 CPACR.
 */
#include <stdint.h>

extern uint32_t _sidata[], _sdata[], _edata[], _sbss[], _ebss[], _estack[];

void Reset_Handler(void);
void edgesmith_booted(void);
void edgesmith_halt(void);
int main(void) __attribute__((weak));

/* Where a program ends, and where a called function returns to on the emulated board. */
__attribute__((used, noinline)) void edgesmith_halt(void) {
    for (;;) __asm__ volatile("");
}

/* Reached once memory is ready and before main: the emulated board stops here. */
__attribute__((used, noinline)) void edgesmith_booted(void) { __asm__ volatile(""); }

__attribute__((used, noreturn)) void Reset_Handler(void) {
    volatile uint32_t *from = _sidata, *to = _sdata;
    while (to < _edata) *to++ = *from++;
    for (to = _sbss; to < _ebss;) *to++ = 0;
#ifdef EDGESMITH_FPU
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: full access to CP10 and CP11 */
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    edgesmith_booted();
    if (main) (void)main();
    edgesmith_halt();
    for (;;) __asm__ volatile("");
}

/* The last system exception; a program may have its own. */
void SysTick_Handler(void) __attribute__((weak, alias("edgesmith_halt")));

typedef void (*handler)(void);
/* Entries: initial stack, reset, then the 14 system exceptions, all of which halt unless SysTick has a handler. */
__attribute__((section(".vectors"), used)) const handler edgesmith_vectors[16] = {
    (handler)(void *)_estack, Reset_Handler,  edgesmith_halt, edgesmith_halt, edgesmith_halt, edgesmith_halt,
    edgesmith_halt,           edgesmith_halt, edgesmith_halt, edgesmith_halt, edgesmith_halt, edgesmith_halt,
    edgesmith_halt,           edgesmith_halt, edgesmith_halt, SysTick_Handler,
};

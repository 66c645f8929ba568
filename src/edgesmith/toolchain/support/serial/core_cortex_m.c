/* The core's own part: a cycle counter, the stack's high water, who it is.
 * Sources: DWT_CYCCNT, DEMCR, CPUID, CCR, cache maintenance: ARMv7-M Architecture Reference Manual (DDI 0403E) C1.6.5,
 * C1.8.3, B3.2.3, B3.2.8, B2.2.7; the lock of the DWT on Cortex-M7: DDI 0403E D1.1 (CoreSight lock access register);
 * SysTick: ARMv6-M Architecture Reference Manual (DDI 0419) B3.3.
 */
#include "edgesmith_board.h"
#include "edgesmith_serial.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define MARGIN_BYTES 64u /* below the frame that paints */
#define PAINT 0xA5A5A5A5u

extern uint32_t _ebss[], _estack[];

uint32_t es_identity(void) { return REGISTER(0xE000ED00u); }

void es_stack_paint(void) {
    volatile uint32_t *const end =
        (volatile uint32_t *)(((uintptr_t)__builtin_frame_address(0) - MARGIN_BYTES) & ~(uintptr_t)3);
    for (volatile uint32_t *word = _ebss; word < end; word++) *word = PAINT;
}

uint32_t es_stack_used(void) {
    const volatile uint32_t *word = _ebss;
    while (word < _estack && *word == PAINT) word++;
    return (uint32_t)((uintptr_t)_estack - (uintptr_t)word);
}

#ifdef ES_SYSTICK

/* 24 bits that count down; the exception counts how often they ran out. */
static volatile uint32_t wraps;

void SysTick_Handler(void);
void SysTick_Handler(void) { wraps++; }

void es_counter_open(void) {
    REGISTER(0xE000E014u) = 0x00FFFFFFu; /* SYST_RVR */
    REGISTER(0xE000E018u) = 0;           /* SYST_CVR: any write clears it */
    REGISTER(0xE000E010u) = 7;           /* SYST_CSR: the core's clock, exception, on */
}

uint32_t es_counter(void) {
    uint32_t before, low;
    do {
        before = wraps;
        low = 0x00FFFFFFu - (REGISTER(0xE000E018u) & 0x00FFFFFFu);
    } while (before != wraps);
    return (before << 24) + low;
}

#else

#ifdef ES_CACHES
/* Instruction and data caches on, which are off after reset: the data cache is invalidated line by line first. */
static void caches_on(void) {
    REGISTER(0xE000EF50u) = 0; /* ICIALLU */
    REGISTER(0xE000ED84u) = 0; /* CSSELR: the data cache of level 1 */
    __asm__ volatile("dsb\n isb" ::: "memory");
    const uint32_t sizes = REGISTER(0xE000ED80u); /* CCSIDR */
    const uint32_t sets = (sizes >> 13) & 0x7FFFu, ways = (sizes >> 3) & 0x3FFu;
    for (uint32_t set = 0; set <= sets; set++)
        for (uint32_t way = 0; way <= ways; way++) REGISTER(0xE000EF60u) = set << 5 | way << 30; /* DCISW, 4 ways */
    __asm__ volatile("dsb\n isb" ::: "memory");
    REGISTER(0xE000ED14u) |= 1u << 17 | 1u << 16; /* CCR: IC, DC */
    __asm__ volatile("dsb\n isb" ::: "memory");
}
#endif

void es_counter_open(void) {
#ifdef ES_CACHES
    caches_on();
#endif
    REGISTER(0xE000EDFCu) |= 1u << 24; /* DEMCR: TRCENA */
    REGISTER(0xE0001FB0u) = 0xC5ACCE55u; /* DWT_LAR: only the Cortex-M7 has a lock, elsewhere the write is ignored */
    REGISTER(0xE0001004u) = 0;           /* DWT_CYCCNT */
    REGISTER(0xE0001000u) |= 1u;         /* DWT_CTRL: CYCCNTENA */
}

uint32_t es_counter(void) { return REGISTER(0xE0001004u); }

#endif

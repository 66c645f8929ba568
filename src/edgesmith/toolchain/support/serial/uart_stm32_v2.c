/* USART of STM32F7, L4, H7 and alike (F0, F3, G0, G4); LPUART with ES_UART_SCALE 256. Source: ST RM0385 section 31.8:
 * CR1 0x00, BRR 0x0C, ISR 0x1C, ICR 0x20, RDR 0x24, TDR 0x28; RM0433 section 48.7 the same with FIFOs off, which they
 * are after reset; LPUART divides 256 times its clock (RM0432 section 50.4.4).
 */
#include "edgesmith_board.h"
#include "edgesmith_serial.h"

#ifndef ES_UART_SCALE
#define ES_UART_SCALE 1u
#endif
#define REGISTER(offset) (*(volatile uint32_t *)(ES_UART_BASE + (offset)))
#define ORE (1u << 3)
#define RXNE (1u << 5)
#define TXE (1u << 7)

void es_uart_open(void) {
    REGISTER(0x0C) = (uint32_t)(((uint64_t)ES_UART_CLOCK_HZ * ES_UART_SCALE + ES_UART_BAUD / 2) / ES_UART_BAUD);
    REGISTER(0x00) = 1u << 3 | 1u << 2 | 1u; /* TE, RE, UE; 8 bits, no parity, one stop bit */
}

int es_uart_get(void) {
    const uint32_t status = REGISTER(0x1C);
    if (status & ORE) REGISTER(0x20) = ORE; /* else it would stay set */
    return status & RXNE ? (int)(REGISTER(0x24) & 0xFFu) : -1;
}

void es_uart_put(uint8_t byte) {
    while (!(REGISTER(0x1C) & TXE)) {
    }
    REGISTER(0x28) = byte;
}

/* PL011 as in RP2040. Source: Arm PL011 technical reference manual (DDI 0183) chapter 3: DR 0x00, FR 0x18, IBRD 0x24,
 * FBRD 0x28, LCR_H 0x2C, CR 0x30; the divisor is the clock over 16 times the baud rate with six bits behind the point.
 */
#include "edgesmith_board.h"
#include "edgesmith_serial.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ES_UART_BASE + (offset)))
#define RXFE (1u << 4)
#define TXFF (1u << 5)

void es_uart_open(void) {
    const uint32_t divisor = (4u * ES_UART_CLOCK_HZ + ES_UART_BAUD / 2) / ES_UART_BAUD; /* times 64 over 16 */
    REGISTER(0x24) = divisor >> 6;
    REGISTER(0x28) = divisor & 63u;
    REGISTER(0x2C) = 3u << 5 | 1u << 4;        /* 8 bits, FIFOs on; this write also takes the divisor over */
    REGISTER(0x30) = 1u << 9 | 1u << 8 | 1u; /* RXE, TXE, UARTEN */
}

int es_uart_get(void) { return REGISTER(0x18) & RXFE ? -1 : (int)(REGISTER(0x00) & 0xFFu); }

void es_uart_put(uint8_t byte) {
    while (REGISTER(0x18) & TXFF) {
    }
    REGISTER(0x00) = byte;
}

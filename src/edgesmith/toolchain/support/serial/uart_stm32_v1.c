/* USART of STM32F1 and alike (F2, F4, L1). Source: ST RM0008 section 27.6: SR 0x00, DR 0x04, BRR 0x08, CR1 0x0C;
 * with oversampling by 16 BRR is the clock over the baud rate, four bits of it behind the point (27.3.4).
 */
#include "edgesmith_board.h"
#include "edgesmith_serial.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ES_UART_BASE + (offset)))
#define RXNE (1u << 5)
#define TXE (1u << 7)

void es_uart_open(void) {
    REGISTER(0x08) = (ES_UART_CLOCK_HZ + ES_UART_BAUD / 2) / ES_UART_BAUD;
    REGISTER(0x0C) = 1u << 13 | 1u << 3 | 1u << 2; /* UE, TE, RE; 8 bits, no parity, one stop bit */
}

/* Reading SR and then DR also clears an overrun. */
int es_uart_get(void) { return REGISTER(0x00) & (RXNE | 1u << 3) ? (int)(REGISTER(0x04) & 0xFFu) : -1; }

void es_uart_put(uint8_t byte) {
    while (!(REGISTER(0x00) & TXE)) {
    }
    REGISTER(0x04) = byte;
}

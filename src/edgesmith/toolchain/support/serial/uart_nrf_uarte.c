/* UARTE of nRF52, nRF53 and nRF91, one byte at a time. Source: nRF5340 product specification, UARTE: tasks STARTRX
 * 0x000, STARTTX 0x008; events RXDRDY 0x108, ENDRX 0x110, ENDTX 0x120; SHORTS 0x200 (ENDRX_STARTRX bit 5), ENABLE 0x500 (8),
 * PSEL.TXD 0x50C, PSEL.RXD 0x514, BAUDRATE 0x524, RXD.PTR 0x534, RXD.MAXCNT 0x538, TXD.PTR 0x544, TXD.MAXCNT 0x548.
 * BAUDRATE takes the values of the specification's table alone.
 */
#include "edgesmith_board.h"
#include "edgesmith_serial.h"

#if ES_UART_BAUD == 115200
#define RATE 0x01D60000u
#elif ES_UART_BAUD == 1000000
#define RATE 0x10000000u
#else
#error "serial: need baud = 115200 or 1000000 on a Nordic chip"
#endif
#define REGISTER(offset) (*(volatile uint32_t *)(ES_UART_BASE + (offset)))

static volatile uint8_t received, sent; /* read and written by the peripheral, so in RAM */

void es_uart_open(void) {
    REGISTER(0x50C) = ES_UART_TX_PIN;
    REGISTER(0x514) = ES_UART_RX_PIN;
    REGISTER(0x524) = RATE;
    REGISTER(0x500) = 8;
    REGISTER(0x534) = (uint32_t)(uintptr_t)&received;
    REGISTER(0x538) = 1;
    REGISTER(0x200) = 1u << 5;
    REGISTER(0x110) = 0;
    REGISTER(0x000) = 1;
}

int es_uart_get(void) {
    if (!REGISTER(0x110)) return -1;
    REGISTER(0x110) = 0;
    (void)REGISTER(0x110); /* the event is gone before the byte is taken */
    return received;
}

void es_uart_put(uint8_t byte) {
    sent = byte;
    REGISTER(0x544) = (uint32_t)(uintptr_t)&sent;
    REGISTER(0x548) = 1;
    REGISTER(0x120) = 0;
    REGISTER(0x008) = 1;
    while (!REGISTER(0x120)) {
    }
}

/* The serial harness: what a board runs so that a computer can drive its model over a UART. docs/real-board.md has the
 * protocol. Three parts, each replaceable: the model (es_model_*, generated), the UART (es_uart_*, one file a family),
 * the core (es_counter_*, es_stack_*, es_identity: core_*.c). No heap.
 */
#ifndef EDGESMITH_SERIAL_H
#define EDGESMITH_SERIAL_H

#include <stdint.h>

#define ES_PROTOCOL 1
#define ES_PAYLOAD_MAX 240 /* with command, sequence and CRC below 254, so COBS adds exactly one byte */
#define ES_RAW_MAX (ES_PAYLOAD_MAX + 6)
#define ES_SHA_BYTES 32
#define ES_NAME_MAX 64

/* One piece of memory that the computer may write (inputs) or read (outputs). */
typedef struct {
    uint8_t *data;
    uint32_t count;
} es_block;

/* What the program says of itself; generated. */
typedef struct {
    uint8_t inputs, outputs, name_bytes;
    uint16_t ops;
    uint32_t clock_hz, arena_bytes, state_bytes, input_bytes, output_bytes;
    uint8_t sha256[ES_SHA_BYTES];
    char name[ES_NAME_MAX];
} es_program;

extern const es_program es_model;
extern uint32_t es_op_ticks[]; /* es_model.ops of them: ticks spent in each op of the last run */

es_block es_model_input(uint8_t index);
es_block es_model_output(uint8_t index); /* data is NULL before the first run */
int es_model_reset(void);
int es_model_run(void);

void es_uart_open(void);
int es_uart_get(void); /* the next byte, or -1 when there is none */
void es_uart_put(uint8_t byte);

void es_counter_open(void);
uint32_t es_counter(void); /* cycles of the core, modulo 2^32 */
void es_stack_paint(void);
uint32_t es_stack_used(void); /* bytes from the top of RAM to the lowest one touched since es_stack_paint */
uint32_t es_identity(void);   /* the core's CPUID register */

/* Frames: COBS between zero bytes; inside command, sequence, payload, CRC-32 of all before it, little endian. */
typedef struct {
    uint8_t raw[ES_RAW_MAX];
    uint16_t count; /* bytes decoded */
    uint8_t left;   /* bytes until the next code byte */
    uint8_t zero;   /* a zero stands before the next group */
    uint8_t bad;    /* too long */
} es_receiver;

uint32_t es_crc32(const uint8_t *data, uint32_t count);
/* Take one byte; returns the length of command, sequence and payload in `raw` when a whole frame has arrived, else 0. */
uint32_t es_receive(es_receiver *receiver, uint8_t byte);
/* Send `count` bytes of command, sequence and payload; `raw` has room for four more. */
void es_send(uint8_t *raw, uint32_t count);

/* Take one byte from the line, and answer when it ends a request. */
void es_serve(uint8_t byte);
/* Called before op `index` of a run; index es_model.ops ends the last. */
void edgesmith_tick(int32_t index);

#endif

/* A board for tests on this machine: the harness's own files, a model of two ops, a line that Python reads. */
#include "edgesmith_serial.h"

#define LINE_BYTES 4096

static uint8_t input[300], output[300];
uint8_t line[LINE_BYTES];
uint32_t line_bytes, identity = 0x410FC241u, runs, ticks, refuse;
uint32_t es_op_ticks[70];

const es_program es_model = {
    .inputs = 1, .outputs = 1, .name_bytes = 4, .ops = 70, .clock_hz = 1000000u, .arena_bytes = 600,
    .input_bytes = 300, .output_bytes = 300, .sha256 = {1, 2, 3}, .name = {'s', 't', 'u', 'b'},
};

es_block es_model_input(uint8_t index) { return index == 0 ? (es_block){input, 300} : (es_block){0, 0}; }
es_block es_model_output(uint8_t index) { return index == 0 ? (es_block){output, 300} : (es_block){0, 0}; }
int es_model_reset(void) { return 0; }

/* Each output is its input plus the number of runs before; op i takes i + 1 ticks. */
int es_model_run(void) {
    for (int32_t op = 0; op < 70; op++) {
        edgesmith_tick(op);
        ticks += (uint32_t)op + 1;
    }
    for (uint32_t i = 0; i < 300; i++) output[i] = (uint8_t)(input[i] + runs);
    edgesmith_tick(70);
    runs++;
    return refuse ? -1 : 0;
}

void es_uart_open(void) {}
int es_uart_get(void) { return -1; }
void es_uart_put(uint8_t byte) {
    if (line_bytes < LINE_BYTES) line[line_bytes++] = byte;
}
void es_counter_open(void) {}
uint32_t es_counter(void) { return ticks; }
void es_stack_paint(void) {}
uint32_t es_stack_used(void) { return 123; }
uint32_t es_identity(void) { return identity; }

void feed(const uint8_t *data, uint32_t count);
void feed(const uint8_t *data, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) es_serve(data[i]);
}

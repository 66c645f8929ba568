/* Answers requests that come over the UART, one at a time. A request that comes again with the same sequence number is
 * not carried out again: its answer is sent again, so that a lost answer costs nothing and a run is never run twice.
 */
#include "edgesmith_serial.h"

enum { HELLO = 1, RESET, WRITE, RUN, READ, TICKS, FAILED = 0x7F, ANSWER = 0x80 };
enum { UNKNOWN = 1, MALFORMED, OUTSIDE, REFUSED, NOT_RUN };

static es_receiver receiver;
static uint8_t answer[ES_RAW_MAX]; /* command, sequence, payload; kept until the next request */
static uint32_t answer_bytes;
static uint32_t answered; /* the CRC of the request that `answer` answers */
static uint8_t has_run;

static uint32_t began;
static int32_t current = -1;

static uint32_t word_at(const uint8_t *data) {
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static void put(const void *data, uint32_t count) {
    __builtin_memcpy(answer + answer_bytes, data, count);
    answer_bytes += count;
}

static void put_number(uint64_t value, uint32_t bytes) {
    for (uint32_t byte = 0; byte < bytes; byte++) answer[answer_bytes++] = (uint8_t)(value >> (8 * byte));
}

static void fail(uint8_t code) {
    answer[2] = (uint8_t)(answer[0] & (ANSWER - 1)); /* the request's command */
    answer[0] = ANSWER | FAILED;
    answer[3] = code;
    answer_bytes = 4;
}

void edgesmith_tick(int32_t index) {
    const uint32_t now = es_counter();
    if (current >= 0) es_op_ticks[current] = now - began;
    current = index < (int32_t)es_model.ops ? index : -1;
    began = es_counter();
}

static void hello(void) {
    put_number(ES_PROTOCOL, 1);
    put_number(es_model.inputs, 1);
    put_number(es_model.outputs, 1);
    put_number(es_identity(), 4);
    put_number(es_model.clock_hz, 4);
    put_number(es_model.arena_bytes, 4);
    put_number(es_model.state_bytes, 4);
    put_number(es_model.input_bytes, 4);
    put_number(es_model.output_bytes, 4);
    put_number(es_model.ops, 2);
    put(es_model.sha256, ES_SHA_BYTES);
    put_number(es_model.name_bytes, 1);
    put(es_model.name, es_model.name_bytes);
}

/* Payload: index, offset, then the bytes. */
static void write(const uint8_t *payload, uint32_t count) {
    if (count < 5) {
        fail(MALFORMED);
        return;
    }
    if (payload[0] >= es_model.inputs) {
        fail(OUTSIDE);
        return;
    }
    const es_block block = es_model_input(payload[0]);
    const uint32_t offset = word_at(payload + 1), bytes = count - 5;
    if (offset > block.count || bytes > block.count - offset) {
        fail(OUTSIDE);
        return;
    }
    __builtin_memcpy(block.data + offset, payload + 5, bytes);
}

/* Payload: index, offset, count. */
static void read(const uint8_t *payload, uint32_t count) {
    if (count != 6) {
        fail(MALFORMED);
        return;
    }
    if (payload[0] >= es_model.outputs) {
        fail(OUTSIDE);
        return;
    }
    const es_block block = es_model_output(payload[0]);
    const uint32_t offset = word_at(payload + 1), bytes = payload[5];
    if (!has_run || block.data == 0) {
        fail(NOT_RUN);
        return;
    }
    if (offset > block.count || bytes > block.count - offset || bytes > ES_PAYLOAD_MAX) {
        fail(OUTSIDE);
        return;
    }
    put(block.data + offset, bytes);
}

static void run(void) {
    for (uint32_t op = 0; op < es_model.ops; op++) es_op_ticks[op] = 0;
    es_stack_paint();
    const uint32_t start = es_counter();
    const int wrong = es_model_run();
    const uint32_t whole = es_counter() - start;
    const uint32_t stack = es_stack_used();
    current = -1;
    if (wrong != 0) {
        fail(REFUSED);
        return;
    }
    has_run = 1;
    uint64_t ops = 0; /* each op is below 2^32 cycles, the sum need not be */
    for (uint32_t op = 0; op < es_model.ops; op++) ops += es_op_ticks[op];
    put_number(ops > whole ? ops : whole, 8);
    put_number(stack, 4);
}

/* Payload: first op. Answers as many as a frame holds. */
static void ticks(const uint8_t *payload, uint32_t count) {
    if (count != 2) {
        fail(MALFORMED);
        return;
    }
    uint32_t op = (uint32_t)payload[0] | (uint32_t)payload[1] << 8;
    if (!has_run) {
        fail(NOT_RUN);
        return;
    }
    if (op >= es_model.ops) {
        fail(OUTSIDE);
        return;
    }
    for (; op < es_model.ops && answer_bytes + 4 <= ES_PAYLOAD_MAX + 2; op++) put_number(es_op_ticks[op], 4);
}

static void reset(void) {
    if (es_model_reset() != 0) fail(REFUSED);
}

static void carry_out(const uint8_t *request, uint32_t count) {
    const uint8_t *payload = request + 2;
    const uint32_t bytes = count - 2;
    answer[0] = request[0] | ANSWER;
    answer[1] = request[1];
    answer_bytes = 2;
    const int more = bytes != 0;
    switch (request[0]) {
        case HELLO: hello(); break;
        case RESET: more ? fail(MALFORMED) : reset(); break;
        case WRITE: write(payload, bytes); break;
        case RUN: more ? fail(MALFORMED) : run(); break;
        case READ: read(payload, bytes); break;
        case TICKS: ticks(payload, bytes); break;
        default: fail(UNKNOWN);
    }
}

void es_serve(uint8_t byte) {
    const uint32_t count = es_receive(&receiver, byte);
    if (count == 0 || (receiver.raw[0] & ANSWER)) return; /* damaged, or our own words echoed by a crossed wire */
    const uint32_t crc = word_at(receiver.raw + count);
    if (answer_bytes == 0 || crc != answered || receiver.raw[0] == HELLO) {
        carry_out(receiver.raw, count);
        answered = crc;
    }
    es_send(answer, answer_bytes);
}

/* The encoder for one type of values: the file that includes this one defines es_value and ES_CODE_ENCODE.
 * Layout and arithmetic: edgesmith_code.h. */
#include "code_shares.h"

/* The interval lower .. lower + range; `used` bytes are written, which a carry may still change. */
typedef struct {
    uint64_t lower, range;
    uint8_t *out;
    uint32_t used, room;
} range_encoder;

/* Add one to the last of the bytes that end before `end`. */
static void carry(uint8_t *out, uint32_t end) {
    while (end > 0 && ++out[--end] == 0) {
    }
}

/* The upper `count` bytes of a number. */
static void write_bytes(uint8_t *out, uint64_t number, uint32_t count) {
    for (; count > 0; count--) {
        *out++ = (uint8_t)(number >> 56);
        number <<= 8;
    }
}

/* Narrow to the share start .. start + width of 2^24. Its callers keep *e in registers: no function gets its address. */
static inline int32_t put(range_encoder *e, uint32_t start, uint32_t width) {
    const uint64_t scale = e->range >> ES_CODE_SHARE_BITS, lower = e->lower + scale * start;
    if (lower < e->lower) carry(e->out, e->used);
    e->lower = lower;
    e->range = scale * width;
    if (e->range >> 32 != 0) return 0;
    if (e->room - e->used < 4) return ES_CODE_NO_ROOM;
    write_bytes(e->out + e->used, lower, 4);
    e->used += 4;
    e->lower <<= 32;
    e->range <<= 32;
    return 0;
}

/* Elias gamma; only a number of 24 bits or more is refused. */
static int32_t put_number(range_encoder *e, uint32_t number) {
    uint32_t index = 0;
    int32_t error;
    while (number >> index > 1) index++;
    if (index > ES_CODE_LAST_CLASS) return ES_CODE_VALUE;
    error = put(e, class_start(index), class_width(index));
    if (error != 0 || index == 0) return error;
    return put(e, (number - (1U << index)) << (ES_CODE_SHARE_BITS - index), 1U << (ES_CODE_SHARE_BITS - index));
}

/* Where a value lies beyond the table, above and below in turn, from 1. */
static int32_t put_outside(range_encoder *e, const es_code_table *t, int32_t value) {
    int32_t end = t->low + (int32_t)t->symbols;
    if (value < -ES_CODE_VALUE_LIMIT || value >= ES_CODE_VALUE_LIMIT) return ES_CODE_VALUE;
    return put_number(e, value >= end ? 2 * (uint32_t)(value - end) + 1 : 2 * (uint32_t)(t->low - value));
}

/* The number in the interval with the fewest bytes: rounded up to a multiple of as many bytes as its width allows. */
static int32_t finish(range_encoder *e) {
    uint32_t kept = 0;
    uint64_t number = 0;
    for (; kept < 4; kept++) {
        uint64_t below = UINT64_MAX >> (8 * kept);
        number = (e->lower + below) & ~below;
        if (number - e->lower < e->range) break;
    }
    if (kept == 4) number = (e->lower + UINT32_MAX) & ~(uint64_t)UINT32_MAX;
    if (number < e->lower) carry(e->out, e->used);
    if (e->room - e->used < kept) return ES_CODE_NO_ROOM;
    write_bytes(e->out + e->used, number, kept);
    e->used += kept;
    while (e->used > 0 && e->out[e->used - 1] == 0) e->used--;
    return (int32_t)e->used;
}

/* Every value's symbol, and how many of them lie outside the tables. */
static int32_t put_symbols(range_encoder *all, const es_code *code, const es_value *x, uint32_t n, uint32_t *outside) {
    const uint32_t shift = ES_CODE_SHARE_BITS - code->bits;
    range_encoder e = *all;
    uint32_t escapes = 0;
    for (uint32_t c = 0; c < code->channels; c++) {
        const es_code_table *t = &code->tables[code->which[c]];
        const uint32_t low = (uint32_t)t->low, symbols = t->symbols;
        const uint16_t *starts = t->starts;
        for (uint32_t i = c; i < n; i += code->channels) {
            uint32_t index = (uint32_t)x[i] - low, start;
            int32_t error;
            if (index >= symbols) {
                index = symbols;
                escapes++;
            }
            start = starts[index];
            error = put(&e, start << shift, (starts[index + 1] - start) << shift);
            if (error != 0) return error;
        }
    }
    *all = e;
    *outside = escapes;
    return 0;
}

static int32_t put_all_outside(range_encoder *e, const es_code *code, const es_value *x, uint32_t n) {
    for (uint32_t c = 0; c < code->channels; c++) {
        const es_code_table *t = &code->tables[code->which[c]];
        for (uint32_t i = c; i < n; i += code->channels) {
            int32_t error;
            if ((uint32_t)x[i] - (uint32_t)t->low < t->symbols) continue;
            error = put_outside(e, t, x[i]);
            if (error != 0) return error;
        }
    }
    return 0;
}

int32_t ES_CODE_ENCODE(const es_code *code, const es_value *x, uint32_t n, uint8_t *out, uint32_t room) {
    range_encoder e = {0, ES_CODE_START_RANGE, out, 0, room < INT32_MAX ? room : INT32_MAX};
    uint32_t outside = 0;
    int32_t error = put_symbols(&e, code, x, n, &outside);
    if (error == 0 && outside > 0) error = put_all_outside(&e, code, x, n);
    return error != 0 ? error : finish(&e);
}

/* The decoder for one type of values: the file that includes this one defines es_value, its limits and ES_CODE_DECODE.
 * Layout and arithmetic: edgesmith_code.h. */
#include "code_shares.h"

/* offset: of the stream's number from the low end of the interval of width `range`. */
typedef struct {
    uint64_t offset, range;
    const uint8_t *data;
    uint32_t count, at;
} range_decoder;

static void read_word(range_decoder *d) {
    for (int i = 0; i < 4; i++) {
        uint8_t byte = d->at < d->count ? d->data[d->at++] : 0;
        d->offset = d->offset << 8 | byte;
    }
}

/* Narrow to start .. start + width, in units of scale, which holds the offset. */
static inline void take(range_decoder *d, uint64_t scale, uint32_t start, uint32_t width) {
    d->offset -= scale * start;
    d->range = scale * width;
    if (d->range >> 32 != 0) return;
    d->range <<= 32;
    read_word(d);
}

/* Whether the offset lies in no share; in a stream of an encoder it never does. */
static inline int astray(const range_decoder *d) {
    return d->offset >= (d->range >> ES_CODE_SHARE_BITS) << ES_CODE_SHARE_BITS;
}

/* By comparing products instead of dividing: a 64-bit division takes a Cortex-M hundreds of cycles. */
static inline uint32_t take_symbol(range_decoder *d, const es_code_table *t, uint32_t shift) {
    uint64_t scale = (d->range >> ES_CODE_SHARE_BITS) << shift;
    uint32_t first = 0, end = t->symbols + 1, start;
    while (end - first > 1) {
        uint32_t middle = (first + end) / 2;
        if (scale * t->starts[middle] <= d->offset) first = middle;
        else end = middle;
    }
    start = t->starts[first];
    take(d, scale, start, t->starts[first + 1] - start);
    return first;
}

/* Elias gamma; 0 where the stream is none of an encoder. */
static uint32_t take_number(range_decoder *d) {
    uint64_t scale = d->range >> ES_CODE_SHARE_BITS;
    uint32_t index = 0, number = 1;
    if (astray(d)) return 0;
    while (index < ES_CODE_LAST_CLASS && scale * class_start(index + 1) <= d->offset) index++;
    take(d, scale, class_start(index), class_width(index));
    if (index == 0) return 1;
    if (astray(d)) return 0;
    scale = (d->range >> ES_CODE_SHARE_BITS) << (ES_CODE_SHARE_BITS - index);
    for (uint32_t bit = index; bit > 0; bit--) {
        uint64_t half = scale << (bit - 1);
        number <<= 1;
        if (d->offset < half) continue;
        d->offset -= half;
        number |= 1;
    }
    take(d, scale, 0, 1);
    return number;
}

/* A value that the table does not hold, to stand where the value is still to come; 0 if the type has none. */
static int free_value(const es_code_table *t, es_value *value) {
    int32_t end = t->low + (int32_t)t->symbols;
    if (t->low > ES_VALUE_MIN) *value = ES_VALUE_MIN;
    else if (end <= ES_VALUE_MAX) *value = ES_VALUE_MAX;
    else return 0;
    return 1;
}

static int32_t take_symbols(range_decoder *d, const es_code *code, es_value *y, uint32_t n, uint32_t *outside) {
    const uint32_t shift = ES_CODE_SHARE_BITS - code->bits;
    for (uint32_t c = 0; c < code->channels; c++) {
        const es_code_table *t = &code->tables[code->which[c]];
        es_value later = 0;
        int escapes = free_value(t, &later);
        for (uint32_t i = c; i < n; i += code->channels) {
            uint32_t index;
            if (astray(d)) return ES_CODE_DAMAGED;
            index = take_symbol(d, t, shift);
            if (index < t->symbols) {
                int32_t value = t->low + (int32_t)index;
                if (value < ES_VALUE_MIN || value > ES_VALUE_MAX) return ES_CODE_DAMAGED;
                y[i] = (es_value)value;
                continue;
            }
            if (!escapes) return ES_CODE_DAMAGED;
            y[i] = later;
            ++*outside;
        }
    }
    return 0;
}

static int32_t take_all_outside(range_decoder *d, const es_code *code, es_value *y, uint32_t n) {
    for (uint32_t c = 0; c < code->channels; c++) {
        const es_code_table *t = &code->tables[code->which[c]];
        const int32_t low = t->low, end = low + (int32_t)t->symbols;
        for (uint32_t i = c; i < n; i += code->channels) {
            uint32_t number;
            int32_t value;
            if (y[i] >= low && y[i] < end) continue;
            number = take_number(d);
            if (number == 0) return ES_CODE_DAMAGED;
            value = number % 2 != 0 ? end + (int32_t)(number / 2) : low - (int32_t)(number / 2);
            if (value < ES_VALUE_MIN || value > ES_VALUE_MAX) return ES_CODE_DAMAGED;
            y[i] = (es_value)value;
        }
    }
    return 0;
}

int32_t ES_CODE_DECODE(const es_code *code, const uint8_t *data, uint32_t count, es_value *y, uint32_t n) {
    range_decoder d = {0, ES_CODE_START_RANGE, data, count, 0};
    uint32_t outside = 0;
    int32_t error;
    read_word(&d);
    read_word(&d);
    error = take_symbols(&d, code, y, n, &outside);
    if (error == 0 && outside > 0) error = take_all_outside(&d, code, y, n);
    return error;
}

/* The decoder for one type of values: the file that includes this one defines es_value, its limits and ES_CODE_DECODE.
 * Layout and arithmetic: edgesmith_code.h. */
#include "code_shares.h"

/* A 64-bit division takes a 32-bit core hundreds of cycles: there the search compares products instead. */
#if UINTPTR_MAX > UINT32_MAX && !defined(ES_CODE_MULTIPLIES)
#define ES_CODE_DIVIDES
#endif

/* offset: of the stream's number from the low end of the interval of width `range`. */
typedef struct {
    uint64_t offset, range;
    const uint8_t *data;
    uint32_t count, at;
} range_decoder;

/* The next four bytes, zeros behind the end. */
static uint32_t read_word(const uint8_t *data, uint32_t left) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < 4; i++) word = word << 8 | (i < left ? data[i] : 0U);
    return word;
}

/* Narrow to the share start .. start + width of 2^24, which holds the offset. */
static inline void take(range_decoder *d, uint32_t start, uint32_t width) {
    const uint64_t scale = d->range >> ES_CODE_SHARE_BITS;
    uint32_t left;
    d->offset -= scale * start;
    d->range = scale * width;
    if (d->range >> 32 != 0) return;
    left = d->count - d->at;
    d->range <<= 32;
    d->offset = d->offset << 32 | read_word(d->data + d->at, left);
    d->at += left < 4 ? left : 4;
}

/* Whether the offset lies in no share; in a stream of an encoder it never does. */
static inline int astray(const range_decoder *d) {
    return d->offset >= (d->range >> ES_CODE_SHARE_BITS) << ES_CODE_SHARE_BITS;
}

/* The last symbol whose share begins at the offset or before. */
static inline uint32_t take_symbol(range_decoder *d, const es_code_table *t, uint32_t shift) {
    const uint64_t scale = d->range >> ES_CODE_SHARE_BITS;
    uint32_t first = 0, end = t->symbols + 1, start;
#ifdef ES_CODE_DIVIDES
    const uint32_t quantile = (uint32_t)(d->offset / scale) >> shift;
#endif
    while (end - first > 1) {
        uint32_t middle = (first + end) / 2;
#ifdef ES_CODE_DIVIDES
        int before = t->starts[middle] <= quantile;
#else
        int before = scale * ((uint32_t)t->starts[middle] << shift) <= d->offset;
#endif
        if (before) first = middle;
        else end = middle;
    }
    start = t->starts[first];
    take(d, start << shift, (t->starts[first + 1] - start) << shift);
    return first;
}

/* Elias gamma; 0 where the stream is none of an encoder. */
static uint32_t take_number(range_decoder *d) {
    uint64_t scale = d->range >> ES_CODE_SHARE_BITS;
    uint32_t index = 0, below = 0;
    if (astray(d)) return 0;
    while (index < ES_CODE_LAST_CLASS && scale * class_start(index + 1) <= d->offset) index++;
    take(d, class_start(index), class_width(index));
    if (index == 0) return 1;
    if (astray(d)) return 0;
    scale = (d->range >> ES_CODE_SHARE_BITS) << (ES_CODE_SHARE_BITS - index);
    for (uint32_t bit = 1U << (index - 1); bit > 0; bit >>= 1) {
        if (scale * (below | bit) <= d->offset) below |= bit;
    }
    take(d, below << (ES_CODE_SHARE_BITS - index), 1U << (ES_CODE_SHARE_BITS - index));
    return 1U << index | below;
}

/* A value that the table does not hold, to stand where the value is still to come; 0 if the type has none. */
static int free_value(const es_code_table *t, es_value *value) {
    int32_t end = t->low + (int32_t)t->symbols;
    if (t->low > ES_VALUE_MIN) *value = ES_VALUE_MIN;
    else if (end <= ES_VALUE_MAX) *value = ES_VALUE_MAX;
    else return 0;
    return 1;
}

static int32_t take_symbols(range_decoder *all, const es_code *code, es_value *y, uint32_t n, uint32_t *outside) {
    const uint32_t shift = ES_CODE_SHARE_BITS - code->bits;
    range_decoder d = *all;
    uint32_t count = 0;
    for (uint32_t c = 0; c < code->channels; c++) {
        const es_code_table *t = &code->tables[code->which[c]];
        es_value later = 0;
        int escapes = free_value(t, &later);
        for (uint32_t i = c; i < n; i += code->channels) {
            uint32_t index;
            if (astray(&d)) return ES_CODE_DAMAGED;
            index = take_symbol(&d, t, shift);
            if (index < t->symbols) {
                int32_t value = t->low + (int32_t)index;
                if (value < ES_VALUE_MIN || value > ES_VALUE_MAX) return ES_CODE_DAMAGED;
                y[i] = (es_value)value;
                continue;
            }
            if (!escapes) return ES_CODE_DAMAGED;
            y[i] = later;
            count++;
        }
    }
    *all = d;
    *outside = count;
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
    d.offset = (uint64_t)read_word(data, count) << 32;
    d.at = count < 4 ? count : 4;
    d.offset |= read_word(data + d.at, count - d.at);
    d.at = count < 8 ? count : 8;
    error = take_symbols(&d, code, y, n, &outside);
    if (error == 0 && outside > 0) error = take_all_outside(&d, code, y, n);
    return error;
}

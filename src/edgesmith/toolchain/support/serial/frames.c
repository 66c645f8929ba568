/* Frames of the serial protocol. COBS: Cheshire and Baker, Consistent Overhead Byte Stuffing, SIGCOMM 1997: a code byte
 * n is followed by n - 1 bytes without a zero, and stands for a zero after them unless n is 255 or the frame ends.
 * CRC-32: the one of IEEE 802.3, reflected, polynomial 0xEDB88320.
 */
#include "edgesmith_serial.h"

uint32_t es_crc32(const uint8_t *data, uint32_t count) {
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < count; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static void keep(es_receiver *r, uint8_t byte) {
    if (r->count < ES_RAW_MAX)
        r->raw[r->count++] = byte;
    else
        r->bad = 1;
}

/* The frame that a zero byte ends: its length without the CRC, or 0 when it is none. */
static uint32_t finish(const es_receiver *r) {
    if (r->bad || r->left != 0 || r->count < 6) return 0;
    const uint32_t body = r->count - 4u;
    const uint8_t *end = r->raw + body;
    const uint32_t stated =
        (uint32_t)end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16 | (uint32_t)end[3] << 24;
    return es_crc32(r->raw, body) == stated ? body : 0;
}

uint32_t es_receive(es_receiver *r, uint8_t byte) {
    if (byte == 0) {
        const uint32_t body = finish(r);
        r->count = 0;
        r->left = r->zero = r->bad = 0;
        return body;
    }
    if (r->left == 0) {
        if (r->zero) keep(r, 0);
        r->left = (uint8_t)(byte - 1);
        r->zero = byte != 0xFF;
    } else {
        keep(r, byte);
        r->left--;
    }
    return 0;
}

void es_send(uint8_t *raw, uint32_t count) {
    const uint32_t crc = es_crc32(raw, count);
    for (int byte = 0; byte < 4; byte++) raw[count++] = (uint8_t)(crc >> (8 * byte));
    es_uart_put(0);
    for (uint32_t start = 0; start <= count;) {
        uint32_t end = start;
        while (end < count && raw[end] != 0) end++; /* never 254 bytes: ES_RAW_MAX is below that */
        es_uart_put((uint8_t)(end - start + 1));
        while (start < end) es_uart_put(raw[start++]);
        start = end + 1;
    }
    es_uart_put(0);
}

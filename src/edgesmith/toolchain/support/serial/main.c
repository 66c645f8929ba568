/* The board's program: clocks and pins, then requests for ever. */
#include "edgesmith_board.h"
#include "edgesmith_serial.h"

/* One step of ES_SETUP: registers set, or waited for. */
typedef struct {
    uint32_t wait, address, mask, value;
} step;

/* A clock that never starts ends the setup here: the board stays silent, and the computer says what to check. */
#define PATIENCE 10000000u

static void set_up(void) {
    static const step steps[] = {ES_SETUP};
    for (uint32_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        volatile uint32_t *const at = (volatile uint32_t *)(uintptr_t)steps[i].address;
        if (!steps[i].wait) {
            *at = (*at & ~steps[i].mask) | (steps[i].value & steps[i].mask);
            continue;
        }
        uint32_t turns = 0;
        while ((*at & steps[i].mask) != steps[i].value)
            if (++turns == PATIENCE)
                for (;;) {
                }
    }
}

int main(void) {
    set_up();
    es_uart_open();
    es_counter_open();
    (void)es_model_reset();
    for (;;) {
        const int byte = es_uart_get();
        if (byte >= 0) es_serve((uint8_t)byte);
    }
}

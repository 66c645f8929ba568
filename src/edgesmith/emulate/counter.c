/* Counts executed code from inside the emulator: called by Unicorn at every basic block and at every write to the layer
 * marker. A block adds +1 at its first halfword and -1 behind its last; a running sum gives how often each instruction
 * ran, however the emulator cut the blocks. A jump (next block not adjacent) is counted at the block's last halfword.
 */
#include <stdint.h>

typedef struct {
    uint64_t base;     /* first address counted */
    uint64_t halves;   /* halfwords counted */
    uint64_t regions;  /* rows in edges and jumps */
    uint64_t current;  /* row being counted */
    uint64_t previous; /* end of the last block, 0 at the start */
    uint64_t bytes;    /* code bytes executed */
    uint64_t limit;    /* stop once bytes exceeds this */
    int64_t *edges;    /* regions x (halves + 1) */
    int64_t *jumps;    /* regions x (halves + 1) */
    int (*stop)(void *engine);
} edgesmith_counter;

void edgesmith_count_block(void *engine, uint64_t address, uint32_t size, void *data);
void edgesmith_mark(void *engine, int type, uint64_t address, int size, int64_t value, void *data);

void edgesmith_count_block(void *engine, uint64_t address, uint32_t size, void *data) {
    edgesmith_counter *c = data;
    uint64_t first = (address - c->base) / 2, end = first + size / 2;
    uint64_t row = c->current * (c->halves + 1);
    if (c->previous != 0 && c->previous != address) {
        uint64_t last = (c->previous - c->base) / 2 - 1;
        if (last < c->halves) c->jumps[row + last]++;
    }
    if (end <= c->halves) {
        c->edges[row + first]++;
        c->edges[row + end]--;
    }
    c->previous = address + size;
    c->bytes += size;
    if (c->bytes > c->limit) (void)c->stop(engine);
}

/* The rest of the block that holds the store still counts for the layer before. */
void edgesmith_mark(void *engine, int type, uint64_t address, int size, int64_t value, void *data) {
    edgesmith_counter *c = data;
    uint64_t row = (uint64_t)(uint32_t)value + 1;
    (void)engine, (void)type, (void)address, (void)size;
    c->current = row < c->regions ? row : 0;
}

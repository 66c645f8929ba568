/* matmul_s8 for Cortex-M: columns of b, then rows of a by twos, are widened to int16 without their zero points; a tile
 * of two rows by two columns takes two products an instruction. Columns go in blocks that stay within BLOCK_BYTES, so
 * that each is widened once and b is read in order, whatever the number of rows. Bit-equal to reference/.
 *
 * Scratch: words of two int16 lanes. A pair of rows, or of columns, lies as word 0 of both, word 1 of both, and so on;
 * an odd end is padded with 0. Without a partner a row or column is its own. */
#include "cortex_m_requant.h"
#include "edgesmith_attention.h"

#define BLOCK_BYTES 2048

static int32_t words_of(const es_matmul_s8_params *p) { return (p->inner + 1) / 2; }

/* Columns widened at once: an even number, two at least. */
static int32_t block_of(const es_matmul_s8_params *p) {
    const int32_t fit = BLOCK_BYTES / (4 * words_of(p)) / 2 * 2, all = (p->columns + 1) / 2 * 2;
    return all < fit ? all : fit < 2 ? 2 : fit;
}

size_t es_matmul_s8_scratch(const es_matmul_s8_params *p) {
    return (size_t)(4 * words_of(p) * (block_of(p) + 2));
}

/* n values at distance `step`, without `zero`, into one lane of a pair. */
static void widen(const int8_t *from, int32_t step, int32_t n, int32_t zero, int16_t *to) {
    for (; n >= 2; n -= 2, from += 2 * step, to += 4) {
        to[0] = (int16_t)(from[0] - zero);
        to[1] = (int16_t)(from[step] - zero);
    }
    if (n > 0) {
        to[0] = (int16_t)(*from - zero);
        to[1] = 0;
    }
}

/* Two products of lanes, added. */
static inline int32_t dual(uint32_t x, uint32_t y, int32_t sum) {
#if defined(__ARM_FEATURE_DSP)
    return (int32_t)__smlad((int16x2_t)x, (int16x2_t)y, sum);
#else
    return sum + (int16_t)x * (int16_t)y + ((int32_t)x >> 16) * ((int32_t)y >> 16);
#endif
}

/* The four sums of a pair of rows and a pair of columns. */
static void tile(const uint32_t *x, const uint32_t *y, int32_t words, int32_t *sums) {
    int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
    for (const uint32_t *end = x + 2 * words; x < end; x += 2, y += 2) {
        const uint32_t x0 = x[0], x1 = x[1], y0 = y[0], y1 = y[1];
        s00 = dual(x0, y0, s00);
        s01 = dual(x0, y1, s01);
        s10 = dual(x1, y0, s10);
        s11 = dual(x1, y1, s11);
    }
    sums[0] = s00;
    sums[1] = s01;
    sums[2] = s10;
    sums[3] = s11;
}

static inline int8_t result(const es_matmul_s8_params *p, es_channel c, int usual, int32_t sum) {
    return usual ? es_channel_apply(c, sum) : es_requant_any(sum, p->multiplier, (uint32_t)p->shift, p->y_zero);
}

/* One block of columns, already widened, with all rows. */
static void block_product(const es_matmul_s8_params *p, const int8_t *a, const uint32_t *right, int32_t count,
                          uint32_t *left, int8_t *y) {
    const int usual = es_shift_is_usual((uint32_t)p->shift);
    const es_channel c = usual ? es_channel_of(p->multiplier, (uint32_t)p->shift, p->y_zero) : (es_channel){0, 0, 0};
    const int32_t words = words_of(p);
    int16_t *lanes = (int16_t *)(void *)left;
    for (int32_t row = 0; row < p->rows; row += 2, a += 2 * p->inner, y += 2 * p->columns) {
        const int two_rows = p->rows - row >= 2;
        widen(a, 1, p->inner, p->a_zero, lanes);
        widen(two_rows ? a + p->inner : a, 1, p->inner, p->a_zero, lanes + 2);
        for (int32_t n = 0; n < count; n += 2) {
            int32_t sums[4];
            tile(left, right + n * words, words, sums);
            y[n] = result(p, c, usual, sums[0]);
            if (n + 1 < count) y[n + 1] = result(p, c, usual, sums[1]);
            if (!two_rows) continue;
            y[p->columns + n] = result(p, c, usual, sums[2]);
            if (n + 1 < count) y[p->columns + n + 1] = result(p, c, usual, sums[3]);
        }
    }
}

static void product(const es_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, uint32_t *scratch) {
    const int32_t words = words_of(p), block = block_of(p);
    uint32_t *left = scratch, *right = scratch + 2 * words;
    for (int32_t first = 0; first < p->columns; first += block) {
        const int32_t rest = p->columns - first, count = rest < block ? rest : block;
        for (int32_t n = 0; n < (count + 1) / 2 * 2; n++) {
            const int8_t *column = b + (first + (n < count ? n : n - 1)) * p->b_column;
            int16_t *pair = (int16_t *)(void *)(right + n / 2 * 2 * words);
            widen(column, p->b_row, p->inner, p->b_zero, pair + 2 * (n & 1));
        }
        block_product(p, a, right, count, left, y + first);
    }
}

void es_matmul_s8(const es_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *scratch) {
    const int32_t batch = es_cells(p->rank, p->size), cells = p->rows * p->columns;
    for (int32_t cell = 0; cell < batch; cell++) {
        const int8_t *left = a + es_offset(cell, p->rank, p->size, p->a_stride);
        product(p, left, b + es_offset(cell, p->rank, p->size, p->b_stride), y + cell * cells, scratch);
    }
    es_clamp_all(y, batch * cells, p->low, p->high);
}

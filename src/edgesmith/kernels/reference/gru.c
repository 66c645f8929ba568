/* gru in plain C, float. Row t of y is the hidden value after step t, so each step reads the row before. */
#include "edgesmith_math.h"
#include "edgesmith_sequence.h"

static float dot(const float *x, const float *w, int32_t n, float start) {
    float sum = start;
    for (int32_t i = 0; i < n; i++) sum += x[i] * w[i];
    return sum;
}

void es_gru(const es_recurrent_params *p, const float *x, const float *h0, const float *w_ih, const float *w_hh,
            const float *b_ih, const float *b_hh, float *y, float *h, void *scratch) {
    const float *last = h0;
    (void)scratch;
    for (int32_t step = 0; step < p->steps; step++, x += p->width, last = y, y += p->hidden) {
        for (int32_t j = 0; j < p->hidden; j++) {
            float given[3], kept[3];
            for (int32_t g = 0; g < 3; g++) {
                const int32_t row = g * p->hidden + j;
                given[g] = dot(x, w_ih + row * p->width, p->width, b_ih[row]);
                kept[g] = dot(last, w_hh + row * p->hidden, p->hidden, b_hh[row]);
            }
            const float z = es_sigmoidf(given[1] + kept[1]);
            const float n = es_tanhf(given[2] + es_sigmoidf(given[0] + kept[0]) * kept[2]);
            y[j] = (1.0f - z) * n + z * last[j];
        }
    }
    __builtin_memcpy(h, last, sizeof(float) * (size_t)p->hidden);
}

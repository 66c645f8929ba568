/* lstm in plain C, float. Row t of y is the hidden value after step t, so each step reads the row before. */
#include "edgesmith_math.h"
#include "edgesmith_sequence.h"

static float dot(const float *x, const float *w, int32_t n, float start) {
    float sum = start;
    for (int32_t i = 0; i < n; i++) sum += x[i] * w[i];
    return sum;
}

void es_lstm(const es_recurrent_params *p, const float *x, const float *h0, const float *c0, const float *w_ih,
             const float *w_hh, const float *b_ih, const float *b_hh, float *y, float *h, float *c, void *scratch) {
    const size_t bytes = sizeof(float) * (size_t)p->hidden;
    const float *last = h0;
    (void)scratch;
    __builtin_memcpy(c, c0, bytes);
    for (int32_t step = 0; step < p->steps; step++, x += p->width, last = y, y += p->hidden) {
        for (int32_t j = 0; j < p->hidden; j++) {
            float gate[4];
            for (int32_t g = 0; g < 4; g++) {
                const int32_t row = g * p->hidden + j;
                const float given = dot(x, w_ih + row * p->width, p->width, b_ih[row]);
                gate[g] = dot(last, w_hh + row * p->hidden, p->hidden, given + b_hh[row]);
            }
            c[j] = es_sigmoidf(gate[1]) * c[j] + es_sigmoidf(gate[0]) * es_tanhf(gate[2]);
            y[j] = es_sigmoidf(gate[3]) * es_tanhf(c[j]);
        }
    }
    __builtin_memcpy(h, last, bytes);
}

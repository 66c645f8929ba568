/* shiftmax and shift_gelu in plain C, float, over rows (arXiv:2207.01405 in real numbers). */
#include "edgesmith_attention.h"
#include "edgesmith_math.h"
#include "edgesmith_shift.h"

#define LOG2_E 1.4375f
#define SIGMOID 1.702f

/* e^x for x <= 0: 2^-q * (1 - r / 2), p = q + r = x * LOG2_E, at most `octaves`. */
static float shift_exp(float x, int32_t octaves) {
    float p = -x * LOG2_E;
    p = p < (float)octaves ? p : (float)octaves;
    const int32_t q = (int32_t)p;
    return (1.0f - (p - (float)q) * 0.5f) / (float)(UINT32_C(1) << q);
}

static float largest(const float *x, int32_t n) {
    float most = x[0];
    for (int32_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

void es_shiftmax(const es_rows_params *p, const float *x, float *y, void *scratch) {
    const int32_t room = 22 - es_bit_length((uint64_t)p->n), octaves = room < 15 ? room : 15;
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        const float most = largest(x, p->n);
        float sum = 0.0f;
        for (int32_t i = 0; i < p->n; i++) {
            y[i] = shift_exp(x[i] - most, octaves);
            sum += y[i];
        }
        for (int32_t i = 0; i < p->n; i++) y[i] /= sum;
    }
}

void es_shift_gelu(const es_shift_gelu_params *p, const float *x, float *y, void *scratch) {
    (void)scratch;
    for (int32_t row = 0; row < p->rows; row++, x += p->n, y += p->n) {
        float most = largest(x, p->n);
        most = most < p->limit ? most : p->limit;
        most = most > 0.0f ? most : 0.0f;
        const float zero = shift_exp(SIGMOID * -most, 20);
        for (int32_t i = 0; i < p->n; i++) {
            const float z = x[i] < p->limit ? x[i] : p->limit;
            const float e = shift_exp(SIGMOID * (z - most), 20);
            y[i] = z * (e / (e + zero));
        }
    }
}

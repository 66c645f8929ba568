/* Kernels of classical models (see edgesmith_kernels.h): trees, distances, support vectors, Gaussians, fixed point on
 * int16. Sums in int32 wrap where docs/numbers.md says so. x is one row. */
#ifndef EDGESMITH_CLASSICAL_H
#define EDGESMITH_CLASSICAL_H

#include <stddef.h>
#include <stdint.h>

#include "edgesmith_math.h"

/* A float as an integer in the same order; -0 as 0. */
static inline int32_t es_order_f32(float v) {
    const int32_t bits = (int32_t)es_bits(v);
    return bits == INT32_MIN ? 0 : bits ^ ((bits >> 31) & INT32_MAX);
}

/* tree_ensemble, tree_ensemble_s16. nodes (n, 3): feature, child where x[feature] <= threshold, other child; a child is
 * a node counted from its tree's first, or ~leaf. Thresholds of floats are in the order of es_order_f32. roots (trees,
 * 2): first node, where the walk begins (a node or ~leaf). first (leaves + 1): of a leaf's entries, each a class and a
 * value. y, base (outputs). */
typedef struct {
    int32_t trees, outputs;
} es_tree_ensemble_params;

#define ES_TREES(NAME, INPUT, LIMIT, VALUE, SUM)                                                              \
    void NAME(const es_tree_ensemble_params *p, const INPUT *x, const int16_t *nodes, const LIMIT *threshold, \
              const int32_t *roots, const uint16_t *first, const uint8_t *classes, const VALUE *values,       \
              const SUM *base, SUM *y, void *scratch)

ES_TREES(es_tree_ensemble_f32, float, int32_t, float, float);
ES_TREES(es_tree_ensemble_u8, uint8_t, int16_t, float, float);
ES_TREES(es_tree_ensemble_s16, int16_t, int16_t, float, float);
ES_TREES(es_tree_ensemble_s16_f32, float, int32_t, int16_t, int32_t);
ES_TREES(es_tree_ensemble_s16_u8, uint8_t, int16_t, int16_t, int32_t);
ES_TREES(es_tree_ensemble_s16_s16, int16_t, int16_t, int16_t, int32_t);

/* distances, distances_s16. x (n); c, y (m, n), (m). */
typedef struct {
    int32_t m, n;
} es_distances_params;

void es_distances(const es_distances_params *p, const float *x, const float *c, float *y, void *scratch);
void es_distances_s16(const es_distances_params *p, const int16_t *x, const int16_t *c, int32_t *y, void *scratch);

/* neighbours. d, labels (m); y (classes): votes of the k nearest. Scratch: 8 k bytes. */
typedef struct {
    int32_t m, k, classes;
} es_neighbours_params;

size_t es_neighbours_f32_scratch(const es_neighbours_params *p);
size_t es_neighbours_s32_scratch(const es_neighbours_params *p);
void es_neighbours_f32(const es_neighbours_params *p, const float *d, const uint8_t *labels, int32_t *y,
                       void *scratch);
void es_neighbours_s32(const es_neighbours_params *p, const int32_t *d, const uint8_t *labels, int32_t *y,
                       void *scratch);

/* rbf_s16: m distances to exp(-t) in Q15; table of 257. */
typedef struct {
    int32_t m, multiplier, shift;
} es_rbf_s16_params;

void es_rbf_s16(const es_rbf_s16_params *p, const int32_t *d, const int16_t *table, int16_t *y, void *scratch);

/* svm_pairs, svm_pairs_s16. k (vectors), sorted by class: those of class i are starts[i] to starts[i + 1]; dual
 * (classes - 1, vectors); b, y (pairs). pair_votes: d (pairs), y (classes). */
typedef struct {
    int32_t vectors, classes;
} es_svm_pairs_params;

void es_svm_pairs(const es_svm_pairs_params *p, const float *k, const float *dual, const int32_t *starts,
                  const float *b, float *y, void *scratch);
void es_svm_pairs_s16(const es_svm_pairs_params *p, const int16_t *k, const int16_t *dual, const int32_t *starts,
                      const int32_t *b, int32_t *y, void *scratch);

typedef struct {
    int32_t classes;
} es_pair_votes_params;

void es_pair_votes_f32(const es_pair_votes_params *p, const float *d, int32_t *y, void *scratch);
void es_pair_votes_s32(const es_pair_votes_params *p, const int32_t *d, int32_t *y, void *scratch);

/* gaussian_scores, gaussian_scores_s16. Rows of n; x_step, c_step, w_step are 0 where one row serves all m. limit and
 * right are of the integer form. */
typedef struct {
    int32_t m, n, x_step, c_step, w_step, limit;
} es_gaussian_scores_params;

void es_gaussian_scores(const es_gaussian_scores_params *p, const float *x, const float *c, const float *w,
                        const float *b, float *y, void *scratch);
void es_gaussian_scores_s16(const es_gaussian_scores_params *p, const int16_t *x, const int16_t *c, const int16_t *w,
                            const int32_t *b, const uint8_t *right, int32_t *y, void *scratch);

/* quantize_s16, affine_s16, requantize_s16: count rows of n, the constants one per column. */
typedef struct {
    int32_t count, n, limit;
} es_columns_s16_params;

void es_quantize_s16(const es_columns_s16_params *p, const float *x, const float *a, const float *b, int16_t *y,
                     void *scratch);
void es_affine_s16_u8(const es_columns_s16_params *p, const uint8_t *x, const int16_t *m, const int32_t *b,
                      const uint8_t *right, int16_t *y, void *scratch);
void es_affine_s16_s8(const es_columns_s16_params *p, const int8_t *x, const int16_t *m, const int32_t *b,
                      const uint8_t *right, int16_t *y, void *scratch);
void es_affine_s16_s16(const es_columns_s16_params *p, const int16_t *x, const int16_t *m, const int32_t *b,
                       const uint8_t *right, int16_t *y, void *scratch);
void es_requantize_s16(const es_columns_s16_params *p, const int32_t *x, const int32_t *multiplier,
                       const uint8_t *shift, int16_t *y, void *scratch);

/* linear_s16. x (rows, in_features); w (out_features, in_features); b (out_features). */
typedef struct {
    int32_t rows, in_features, out_features;
} es_linear_s16_params;

void es_linear_s16(const es_linear_s16_params *p, const int16_t *x, const int16_t *w, const int32_t *b, int32_t *y,
                   void *scratch);

/* opposites: m values x to m pairs (-x, x). */
typedef struct {
    int32_t m;
} es_opposites_params;

void es_opposites_f32(const es_opposites_params *p, const float *x, float *y, void *scratch);
void es_opposites_s32(const es_opposites_params *p, const int32_t *x, int32_t *y, void *scratch);

#endif

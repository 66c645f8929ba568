/* The pool by itself, run by test_threads.py: jobs of many sizes, sleeping workers, other counts, a fork. Ends with 0
 * if every unit of every job was done exactly once. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "edgesmith_threads.h"

enum { UNITS = 37, BYTES = 4096 };

typedef struct {
    int32_t done[UNITS];
} tally;

static void count(const void *job, int32_t first, int32_t last, void *scratch) {
    tally *t = (tally *)(uintptr_t)job;
    memset(scratch, first, BYTES);
    for (int32_t i = first; i < last; i++) t->done[i] += 1 + (((uint8_t *)scratch)[i] != (uint8_t)first);
}

static int jobs(int32_t turns, int pause) {
    static uint8_t scratch[BYTES];
    const struct timespec rest = {0, 2000000};
    for (int32_t turn = 0; turn < turns; turn++) {
        tally t = {{0}};
        const es_job job = {count, &t, 1 + turn % UNITS, BYTES, 1000000};
        es_run(&job, scratch);
        for (int32_t i = 0; i < UNITS; i++) {
            if (t.done[i] != (i <= turn % UNITS)) return 0;
        }
        if (pause) nanosleep(&rest, NULL);
    }
    return 1;
}

int main(void) {
    const int32_t counts[] = {1, 2, 4, 3, 1, 2};
    for (int32_t i = 0; i < 6; i++) {
        if (es_threads(counts[i]) != counts[i] || !jobs(500, 0) || !jobs(5, 1)) return 1;
    }
#ifdef __SANITIZE_THREAD__ /* which cannot follow a fork that starts threads */
    return 0;
#endif
    const pid_t child = fork();
    if (child == 0) _exit(jobs(50, 0) && es_threads(2) == 2 && jobs(50, 0) ? 0 : 2);
    int status = 1;
    return waitpid(child, &status, 0) == child && status == 0 && jobs(50, 0) ? 0 : 3;
}

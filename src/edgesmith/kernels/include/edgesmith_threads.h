/* How a kernel offers its work to several threads. Built with EDGESMITH_THREADS, on systems that have threads, parts of
 * it run at once (threads.c); else all of it runs here and now. Parts write different bytes, so the results are the
 * same whatever their number. */
#ifndef EDGESMITH_THREADS_H
#define EDGESMITH_THREADS_H

#include <stddef.h>
#include <stdint.h>

/* Units first to last - 1 of a job; `scratch` is this part's own. */
typedef void (*es_task)(const void *job, int32_t first, int32_t last, void *scratch);

/* A job of `units` parts at most; each needs scratch_bytes; `work` is about how many nanoseconds it takes in all. */
typedef struct {
    es_task task;
    const void *job;
    int32_t units;
    size_t scratch_bytes;
    int64_t work;
} es_job;

#ifdef EDGESMITH_THREADS
void es_run(const es_job *job, void *scratch);

/* Run jobs on `count` threads from now on, the caller's among them; 1 ends the others. Returns how many there are. Not
 * to be called while a job runs. */
int32_t es_threads(int32_t count);
#else
static inline void es_run(const es_job *job, void *scratch) {
    job->task(job->job, 0, job->units, scratch);
}
#endif

#endif

/* A small pool of threads for systems that have them (edgesmith_threads.h): POSIX threads or Windows.
 *
 * Parts of a job are fixed by its units and the number of threads; each writes its own bytes, so results do not depend
 * on who runs what when. Whoever is free takes the next part, the caller too, so a worker that the system holds back
 * holds nobody up unless it has begun. A job that is posted while another runs, as two programs of one library may do,
 * runs on its caller's thread alone. Workers look for parts for some microseconds, then sleep. After a fork the child has
 * no workers and runs everything itself until it asks for threads.
 *
 * What is shared: `open` holds the parts of the job and how many are taken; a part is taken by compare-and-swap, so by one
 * alone. Who took one reads `job`, written before `open` was (release, acquire), and counts it in `done` when its bytes
 * are written; the poster returns, and may post again, once all parts are done (release, acquire). The turn in `open`
 * tells two jobs with the same counts apart. A worker that is about to sleep counts itself in before it looks at `open`
 * once more, the poster writes `open` before it looks whether anyone sleeps, both sequentially consistent: one sees the
 * other. */
#if defined(EDGESMITH_THREADS)
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif

#include "edgesmith_threads.h"

#ifdef _WIN32
#include <windows.h>
typedef HANDLE thread;
typedef SRWLOCK mutex;
typedef CONDITION_VARIABLE condition;
#define MUTEX_START SRWLOCK_INIT
#define CONDITION_START CONDITION_VARIABLE_INIT
#else
#include <pthread.h>
#include <sched.h>
typedef pthread_t thread;
typedef pthread_mutex_t mutex;
typedef pthread_cond_t condition;
#define MUTEX_START PTHREAD_MUTEX_INITIALIZER
#define CONDITION_START PTHREAD_COND_INITIALIZER
#endif

#define MOST_THREADS 64
#define SCRATCH_BYTES 262144 /* of each worker, on its stack; a job that needs more runs on its caller's thread */
#define STACK_BYTES (4 << 20) /* thread-local storage of all libraries lies there too; only what is used is taken */
#ifndef ES_LEAST_WORK
#define ES_LEAST_WORK 1500 /* nanoseconds that a part must be worth: what it takes to hand it over */
#endif
#define PARTS 2 /* of a job for each thread, if it is worth it: threads seldom run at the same speed */
#define SPINS 2000      /* some tens of microseconds: longer than what lies between two ops of a net */

static struct {
    int32_t count, done, sleeping, busy, stop, forks;
    uint64_t open; /* turn << 32 | parts << 16 | parts taken */
    const es_job *job;
    mutex lock;
    condition wake;
    thread workers[MOST_THREADS];
} pool = {.count = 1, .lock = MUTEX_START, .wake = CONDITION_START};

static void rest(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void enter(void) {
#ifdef _WIN32
    AcquireSRWLockExclusive(&pool.lock);
#else
    pthread_mutex_lock(&pool.lock);
#endif
}

static void leave(void) {
#ifdef _WIN32
    ReleaseSRWLockExclusive(&pool.lock);
#else
    pthread_mutex_unlock(&pool.lock);
#endif
}

static int32_t parts_of(uint64_t open) {
    return (int32_t)(open >> 16 & 0xffff);
}

static int any_left(uint64_t open) {
    return (int32_t)(open & 0xffff) < parts_of(open);
}

/* Take parts of the posted job and run them until none is left. */
static void take_parts(void *scratch) {
    uint64_t open = __atomic_load_n(&pool.open, __ATOMIC_ACQUIRE);
    while (any_left(open)) {
        if (!__atomic_compare_exchange_n(&pool.open, &open, open + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) continue;
        const es_job *job = pool.job;
        const int64_t units = job->units, part = (int64_t)(open & 0xffff), parts = parts_of(open);
        job->task(job->job, (int32_t)(units * part / parts), (int32_t)(units * (part + 1) / parts), scratch);
        __atomic_fetch_add(&pool.done, 1, __ATOMIC_RELEASE);
        open = __atomic_load_n(&pool.open, __ATOMIC_ACQUIRE);
    }
}

static int idle(void) {
    return !any_left(__atomic_load_n(&pool.open, __ATOMIC_SEQ_CST)) && !__atomic_load_n(&pool.stop, __ATOMIC_SEQ_CST);
}

static void await_parts(void) {
    for (int32_t i = 0; i < SPINS; i++) {
        if (!idle()) return;
        rest();
    }
    enter();
    __atomic_fetch_add(&pool.sleeping, 1, __ATOMIC_SEQ_CST);
    while (idle()) {
#ifdef _WIN32
        SleepConditionVariableSRW(&pool.wake, &pool.lock, INFINITE, 0);
#else
        pthread_cond_wait(&pool.wake, &pool.lock);
#endif
    }
    __atomic_fetch_sub(&pool.sleeping, 1, __ATOMIC_SEQ_CST);
    leave();
}

static void wake_all(void) {
    if (__atomic_load_n(&pool.sleeping, __ATOMIC_SEQ_CST) == 0) return;
    enter();
#ifdef _WIN32
    WakeAllConditionVariable(&pool.wake);
#else
    pthread_cond_broadcast(&pool.wake);
#endif
    leave();
}

static void work(void) {
    uint8_t scratch[SCRATCH_BYTES] __attribute__((aligned(64)));
    while (!__atomic_load_n(&pool.stop, __ATOMIC_SEQ_CST)) {
        await_parts();
        take_parts(scratch);
    }
}

#ifdef _WIN32

static DWORD WINAPI begin(void *nothing) {
    (void)nothing;
    work();
    return 0;
}

static int start(int32_t index) {
    pool.workers[index] = CreateThread(NULL, STACK_BYTES, begin, NULL, 0, NULL);
    return pool.workers[index] != NULL;
}

static void join(int32_t index) {
    WaitForSingleObject(pool.workers[index], INFINITE);
    CloseHandle(pool.workers[index]);
}

static void give_way(void) {
    SwitchToThread();
}

static void prepare_for_forks(void) {
}

#else

static void *begin(void *nothing) {
    (void)nothing;
    work();
    return NULL;
}

static int start(int32_t index) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return 0;
    const int sized = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0;
    const int made = sized && pthread_create(&pool.workers[index], &attributes, begin, NULL) == 0;
    pthread_attr_destroy(&attributes);
    return made;
}

static void join(int32_t index) {
    pthread_join(pool.workers[index], NULL);
}

static void give_way(void) {
    sched_yield();
}

/* In the child of a fork: its only thread is the one that forked. */
static void forget_workers(void) {
    const mutex lock = MUTEX_START;
    const condition wake = CONDITION_START;
    pool.count = 1;
    pool.sleeping = pool.busy = 0;
    pool.open = 0;
    pool.lock = lock;
    pool.wake = wake;
}

static void prepare_for_forks(void) {
    if (!pool.forks) pool.forks = pthread_atfork(NULL, NULL, forget_workers) == 0;
}

/* When the library is unloaded its code goes, so no worker may be left in it. */
static void __attribute__((destructor)) end(void) {
    es_threads(1);
}

#endif

void es_run(const es_job *job, void *scratch) {
    const int64_t worth = job->work / ES_LEAST_WORK;
    int32_t parts = pool.count > 1 ? PARTS * pool.count : 1;
    if (job->units < parts) parts = job->units;
    if (worth < parts) parts = (int32_t)worth;
    if (parts < 2 || job->scratch_bytes > SCRATCH_BYTES || __atomic_exchange_n(&pool.busy, 1, __ATOMIC_ACQUIRE)) {
        job->task(job->job, 0, job->units, scratch);
        return;
    }
    const uint64_t turn = (__atomic_load_n(&pool.open, __ATOMIC_RELAXED) >> 32) + 1;
    pool.job = job;
    __atomic_store_n(&pool.done, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&pool.open, turn << 32 | (uint64_t)parts << 16, __ATOMIC_SEQ_CST);
    wake_all();
    take_parts(scratch);
    for (int32_t i = 0; __atomic_load_n(&pool.done, __ATOMIC_ACQUIRE) != parts; i++) {
        if (i < SPINS) {
            rest();
        } else {
            give_way();
        }
    }
    __atomic_store_n(&pool.busy, 0, __ATOMIC_RELEASE);
}

int32_t es_threads(int32_t count) {
    count = count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count;
    if (count == pool.count) return count;
    if (pool.count > 1) {
        __atomic_store_n(&pool.stop, 1, __ATOMIC_SEQ_CST);
        wake_all();
        for (int32_t i = 1; i < pool.count; i++) join(i);
        __atomic_store_n(&pool.stop, 0, __ATOMIC_SEQ_CST);
    }
    pool.count = 1;
    prepare_for_forks();
    while (pool.count < count && start(pool.count)) pool.count++;
    return pool.count;
}

#else
typedef int es_no_threads; /* C99 wants a declaration in every file */
#endif

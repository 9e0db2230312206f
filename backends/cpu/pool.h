/* backends/cpu/pool.h: a few threads that share the tasks of one piece of work.
 *
 * rv_pool_run hands out task numbers 0 .. tasks - 1; who runs which is chance, so a task's result
 * must depend on its number only. The caller works along and returns when all are done. Idle threads
 * watch for the next piece of work for some tens of microseconds, then sleep.
 */
#ifndef RV_BACKENDS_CPU_POOL_H
#define RV_BACKENDS_CPU_POOL_H

#include "core/backend.h"

typedef struct rv_pool rv_pool;

/* `worker` is 0 for the caller, 1 .. threads - 1 for the others: for scratch memory. */
typedef void (*rv_pool_fn)(void *work, int64_t task, int worker);

/* threads counts the caller; 1 starts none. */
rv_status rv_pool_open(const rv_services *services, int threads, rv_error *error, rv_pool **pool);
void rv_pool_close(rv_pool *pool);

void rv_pool_run(rv_pool *pool, rv_pool_fn run, void *work, int64_t tasks);

#endif

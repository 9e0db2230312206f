/* tests/standin/run.c: a kernel on the host: the lanes of a work-group are fibers that switch at barriers.
 *
 * Between two barriers the lanes run one after the other, forwards and backwards in turns, and the groups likewise, so
 * that a missing barrier or a dependence between groups shows as a wrong result. Shared memory is poisoned for each
 * group. The lock of standin_enter is held, so there is one set of fibers.
 */
#undef _FORTIFY_SOURCE /* its longjmp refuses to change stacks */
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/standin/standin.h"

enum { MOST_LANES = 1024, STACK_BYTES = 256 << 10, GUARD_BYTES = 4096 };

typedef enum lane_state { LANE_READY, LANE_WAITING, LANE_DONE } lane_state;

typedef struct lane {
    ucontext_t start;
    jmp_buf at;
    bool started;
    lane_state state;
    int line; /* of the barrier it waits at */
} lane;

static lane lanes[MOST_LANES];
static char *stacks;
static jmp_buf scheduler;
static ucontext_t unused;
static lane *current;
static const standin_work *running;

static void switch_back(void) {
    if (_setjmp(current->at) == 0) _longjmp(scheduler, 1);
}

/* A fiber lives on and runs its lane in every group. */
static void fiber(void) {
    for (;;) {
        running->function->kernel->call(running->arguments);
        current->state = LANE_DONE;
        switch_back();
    }
}

static void barrier(int line) {
    current->state = LANE_WAITING;
    current->line = line;
    switch_back();
}

static bool prepare(unsigned count) {
    const size_t one = STACK_BYTES + GUARD_BYTES;
    if (!stacks) {
        char *memory = mmap(NULL, MOST_LANES * one, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return false;
        stacks = memory;
    }
    for (unsigned i = 0; i < count; i++) {
        if (lanes[i].started) continue;
        mprotect(stacks + i * one, GUARD_BYTES, PROT_NONE);
        if (getcontext(&lanes[i].start) != 0) return false;
        lanes[i].start.uc_stack.ss_sp = stacks + i * one + GUARD_BYTES;
        lanes[i].start.uc_stack.ss_size = STACK_BYTES;
        makecontext(&lanes[i].start, fiber, 0);
    }
    return true;
}

static void resume(unsigned index) {
    CUmodule module = running->function->module;
    current = &lanes[index];
    *module->thread = (standin_index){.x = index};
    if (_setjmp(scheduler) != 0) return;
    if (current->started) _longjmp(current->at, 1);
    current->started = true;
    swapcontext(&unused, &current->start);
}

/* All lanes to their next barrier or their end. False: some wait where others do not. */
static bool run_phase(bool backwards, bool *done) {
    const unsigned count = running->lanes;
    for (unsigned i = 0; i < count; i++) resume(backwards ? count - 1 - i : i);
    *done = lanes[0].state == LANE_DONE;
    for (unsigned i = 1; i < count; i++) {
        if (lanes[i].state != lanes[0].state) return false;
        if (!*done && lanes[i].line != lanes[0].line) return false;
    }
    return true;
}

static bool run_group(unsigned group, bool backwards) {
    CUmodule module = running->function->module;
    *module->block = (standin_index){.x = group};
    if (module->shared[0]) memset(module->shared[0], 0xFF, (size_t)(module->shared[1] - module->shared[0]));
    for (unsigned i = 0; i < running->lanes; i++) lanes[i].state = LANE_READY;
    for (bool done = false; !done; backwards = !backwards) {
        if (!run_phase(backwards, &done)) return false;
    }
    return true;
}

unsigned standin_run(const standin_work *work, bool backwards) {
    CUmodule module = work->function->module;
    if (work->lanes > MOST_LANES || !prepare(work->lanes)) return STANDIN_LAUNCH_FAILED;
    running = work;
    *module->wait = barrier;
    *module->block_size = (standin_index){work->lanes, 1, 1};
    *module->grid_size = (standin_index){work->groups, 1, 1};
    for (unsigned g = 0; g < work->groups; g++) {
        if (run_group(backwards ? work->groups - 1 - g : g, backwards)) continue;
        /* the lanes hang in the kernel: they start afresh next time */
        for (unsigned i = 0; i < work->lanes; i++) lanes[i].started = false;
        return STANDIN_LAUNCH_FAILED;
    }
    return standin_guards_hold() ? STANDIN_SUCCESS : STANDIN_ILLEGAL_ADDRESS;
}

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

typedef struct fiber {
    ucontext_t start;
    jmp_buf at;
    bool started;
    unsigned lane; /* that it runs now */
} fiber;

typedef struct lane {
    lane_state state;
    int line; /* of the barrier it waits at */
    fiber *on;
} lane;

static fiber fibers[MOST_LANES];
static lane lanes[MOST_LANES];
static char *stacks;
static jmp_buf scheduler;
static ucontext_t unused;
static fiber *current;
static const standin_work *running;
static unsigned begun; /* lanes of this group */
static bool down;      /* from the last lane to the first */

static void switch_back(void) {
    if (_setjmp(current->at) == 0) _longjmp(scheduler, 1);
}

static unsigned turn(unsigned i) { return down ? running->lanes - 1 - i : i; }

static void enter_lane(unsigned index) {
    current->lane = index;
    *running->function->module->thread = (standin_index){.x = index};
}

/* Runs lanes that have not begun, one after the other, until one has to wait; that one goes on here later. */
static void fiber_main(void) {
    for (;;) {
        while (begun < running->lanes) {
            enter_lane(turn(begun++));
            running->function->kernel->call(running->arguments);
            lanes[current->lane].state = LANE_DONE;
        }
        switch_back();
    }
}

static void barrier(int line) {
    lanes[current->lane] = (lane){LANE_WAITING, line, current};
    switch_back();
    /* here a lane goes on behind its barrier; at its end it returns into the loop above */
}

static bool prepare(unsigned count) {
    const size_t one = STACK_BYTES + GUARD_BYTES;
    if (!stacks) {
        char *memory = mmap(NULL, MOST_LANES * one, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return false;
        stacks = memory;
    }
    for (unsigned i = 0; i < count; i++) {
        if (fibers[i].started) continue;
        mprotect(stacks + i * one, GUARD_BYTES, PROT_NONE);
        if (getcontext(&fibers[i].start) != 0) return false;
        fibers[i].start.uc_stack.ss_sp = stacks + i * one + GUARD_BYTES;
        fibers[i].start.uc_stack.ss_size = STACK_BYTES;
        makecontext(&fibers[i].start, fiber_main, 0);
    }
    return true;
}

static void resume(fiber *f) {
    current = f;
    if (_setjmp(scheduler) != 0) return;
    if (current->started) _longjmp(current->at, 1);
    current->started = true;
    swapcontext(&unused, &current->start);
}

/* All lanes to their first barrier or their end; a fiber that waits is left behind, and the next one takes over. */
static void run_first_phase(void) {
    for (begun = 0; begun < running->lanes;) resume(&fibers[begun]);
}

static void run_next_phase(void) {
    for (unsigned i = 0; i < running->lanes; i++) {
        fiber *f = lanes[turn(i)].on;
        current = f;
        enter_lane(turn(i));
        resume(f);
    }
}

/* False: some wait where others do not. */
static bool agree(bool *done) {
    *done = lanes[0].state == LANE_DONE;
    for (unsigned i = 1; i < running->lanes; i++) {
        if (lanes[i].state != lanes[0].state) return false;
        if (!*done && lanes[i].line != lanes[0].line) return false;
    }
    return true;
}

static bool run_group(unsigned group, bool backwards) {
    CUmodule module = running->function->module;
    bool done;
    *module->block = (standin_index){.x = group};
    if (module->shared[0]) memset(module->shared[0], 0xFF, (size_t)(module->shared[1] - module->shared[0]));
    down = backwards;
    run_first_phase();
    if (!agree(&done)) return false;
    while (!done) {
        down = !down;
        run_next_phase();
        if (!agree(&done)) return false;
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
        /* fibers hang in the kernel: they start afresh next time */
        for (unsigned i = 0; i < work->lanes; i++) fibers[i].started = false;
        return STANDIN_LAUNCH_FAILED;
    }
    return standin_guards_hold() ? STANDIN_SUCCESS : STANDIN_ILLEGAL_ADDRESS;
}

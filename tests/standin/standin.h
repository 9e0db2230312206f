/* tests/standin/standin.h: a stand-in for NVIDIA's libraries, so that the CUDA backend's own host code and kernel text
 * run on a machine without a GPU. It is not hardware, says so in its device's name, and is never installed.
 *
 *     libcuda.so.1     device memory is host memory between guards; work waits in its stream until somebody waits for
 *                      it; a work-group's lanes are fibers that switch at barriers (context.c, memory.c, stream.c, run.c)
 *     libnvrtc.so.13   "compiles" kernel text with the host's C++ compiler into a shared object (nvrtc.c, prelude.h)
 *     libcublas.so.13  a plain product, strict about how it was set up (cublas.c)
 *
 * What it notices, as the driver's errors: memory touched outside allocations and pointers that are none
 * (ILLEGAL_ADDRESS), barriers that not all lanes reach (LAUNCH_FAILED), calls without a current context. What it
 * cannot tell: anything about time, memory ordering on a GPU, or NVIDIA's compiler.
 */
#ifndef RV_TESTS_STANDIN_H
#define RV_TESTS_STANDIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/cuda/driver.h"

#define STANDIN_API __attribute__((visibility("default")))

/* ---- for tests: found with dlsym in libcuda.so.1 ------------------------------------------------------- */

typedef struct standin_control {
    void (*reset)(void);                                      /* forgets counts and faults; devices as at first */
    void (*plan_fault)(const char *name, int64_t nth, unsigned code); /* the nth call from now on; name NULL: of any function */
    int64_t (*calls)(const char *name);                       /* since reset; name NULL: of all */
    int64_t (*live)(void);                                    /* objects made and not given back */
    int (*depth)(void);                                       /* contexts on this thread's stack */
    void (*devices)(int count, int major, int minor);
    void (*idle)(bool idle);                                  /* kernels and products answer without being run */
} standin_control;
extern STANDIN_API const standin_control standin;

/* In libnvrtc.so.13. */
typedef struct standin_compiler {
    int64_t compiled; /* programs, refused ones as well */
    bool refuse;      /* every program gets an #error */
} standin_compiler;
extern STANDIN_API standin_compiler standin_nvrtc;

/* ---- what the parts share -------------------------------------------------------------------------------- */

enum { STANDIN_SUCCESS = 0, STANDIN_INVALID_VALUE = 1, STANDIN_OUT_OF_MEMORY = 2, STANDIN_INVALID_DEVICE = 101,
       STANDIN_INVALID_IMAGE = 200, STANDIN_INVALID_CONTEXT = 201, STANDIN_INVALID_HANDLE = 400, STANDIN_NOT_FOUND = 500,
       STANDIN_ILLEGAL_ADDRESS = 700, STANDIN_LAUNCH_FAILED = 719, STANDIN_CAPTURE_UNSUPPORTED = 900,
       STANDIN_CAPTURE_UNMATCHED = 903 };

struct CUctx_st {
    int ordinal, users;
    unsigned dead; /* the error that every call answers from now on */
};

/* What the compiler's output holds for each kernel, under the name standin_kernel_NAME. */
typedef struct standin_kernel {
    void (*call)(void **arguments);
    unsigned count;
    const unsigned *bytes; /* of each argument */
} standin_kernel;

typedef struct standin_index {
    unsigned x, y, z;
} standin_index;

struct CUmod_st {
    CUcontext context;
    void *object; /* the kernels' shared object, of this file */
    int file;
    standin_index *thread, *block, *block_size, *grid_size;
    void (**wait)(int line); /* the module's barrier */
    char *shared[2];         /* begin and end of its shared memory */
};

struct CUfunc_st {
    CUmodule module;
    const standin_kernel *kernel;
    CUfunction next;
};

typedef enum standin_kind { STANDIN_KERNEL, STANDIN_COPY, STANDIN_FILL, STANDIN_EVENT, STANDIN_HOST, STANDIN_GRAPH } standin_kind;

/* One piece of work in a stream or a graph. */
typedef struct standin_work {
    standin_kind kind;
    CUfunction function;
    unsigned groups, lanes;
    void **arguments; /* one block with what they point to */
    char *to;
    const char *from;
    char *staged; /* what pageable memory held when the copy was asked for */
    size_t bytes;
    int byte;
    CUevent event;
    CUgraphExec exec;
    unsigned (*host)(void *data);
    void *data;
    struct standin_work *next;
} standin_work;

/* Entering a function of the driver: the lock until it returns, counting, and faults that a test asked for.
 * `fault` is what the call must answer; functions that give something back do so all the same. */
unsigned standin_enter(const char *name);
void standin_leave(unsigned *fault);
#define STANDIN_FAULT(name) __attribute__((cleanup(standin_leave))) unsigned fault = standin_enter(#name)
#define STANDIN_ENTER(name) \
    STANDIN_FAULT(name);    \
    if (fault) return fault

/* The same where a context must be current. */
#define STANDIN_CONTEXT(name)                             \
    STANDIN_ENTER(name);                                  \
    CUcontext context = standin_current();                \
    if (!context) return fault = STANDIN_INVALID_CONTEXT; \
    if (context->dead) return fault = context->dead

STANDIN_API CUcontext standin_current(void);
STANDIN_API void standin_made(int64_t count); /* objects; negative: given back */

/* The bytes lie in one allocation of this context. */
STANDIN_API bool standin_is_memory(CUcontext context, const void *memory, size_t bytes);
bool standin_is_pinned(const void *memory, size_t bytes);
/* Nothing has written between allocations. */
STANDIN_API bool standin_guards_hold(void);
void standin_free_memory_of(CUcontext context);

/* Does what waits, in order; the context is dead after a failure. */
void standin_finish(CUcontext context);
void standin_forget(CUcontext context);

extern bool standin_is_idle;

/* Runs a kernel now. 0, or the error that kills the context. */
unsigned standin_run(const standin_work *work, bool backwards);

/* For libcublas: host(data) when the stream comes to it; data is freed with free. */
STANDIN_API unsigned standin_enqueue(CUstream stream, unsigned (*host)(void *data), void *data);

#endif

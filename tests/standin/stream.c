/* tests/standin/stream.c: the stand-in's streams, events and graphs. Work waits in its stream until somebody waits for
 * it, so that whoever reads too early or reuses memory too soon reads wrong. See standin.h.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/standin/standin.h"

#define DECLARE(name, arguments) STANDIN_API unsigned name arguments;
RV_CU_LIST(DECLARE)

typedef struct work_list {
    standin_work *first, *last;
} work_list;

struct CUstream_st {
    CUcontext context;
    work_list waiting;
    CUgraph capturing; /* what is being recorded; NULL: nothing */
    CUstream next;
};

struct CUevent_st {
    CUstream stream; /* recorded in, and not reached yet; NULL: reached or never recorded */
};

struct CUgraph_st {
    work_list list;
};

struct CUgraphExec_st {
    CUcontext context;
    work_list list;
};

static CUstream streams;
static uint64_t runs; /* for the direction that lanes and groups go in */

/* ---- work -------------------------------------------------------------------------------------------------- */

static void append(work_list *list, standin_work *work) {
    if (list->last) list->last->next = work;
    else list->first = work;
    list->last = work;
}

static void free_work(standin_work *work) {
    free(work->arguments);
    free(work->staged);
    free(work->data);
    free(work);
}

static void free_list(work_list *list) {
    for (standin_work *work = list->first, *next; work; work = next) {
        next = work->next;
        free_work(work);
    }
    *list = (work_list){NULL, NULL};
}

static unsigned enqueue(CUstream stream, const standin_work *wanted) {
    standin_work *work = malloc(sizeof *work);
    if (!work) return STANDIN_OUT_OF_MEMORY;
    *work = *wanted;
    append(stream->capturing ? &stream->capturing->list : &stream->waiting, work);
    return STANDIN_SUCCESS;
}

static unsigned do_list(CUcontext context, const work_list *list);

static unsigned do_work(CUcontext context, const standin_work *work) {
    switch (work->kind) {
    case STANDIN_KERNEL: return standin_is_idle ? STANDIN_SUCCESS : standin_run(work, runs++ & 1);
    case STANDIN_COPY: memcpy(work->to, work->staged ? work->staged : work->from, work->bytes); return STANDIN_SUCCESS;
    case STANDIN_FILL: memset(work->to, work->byte, work->bytes); return STANDIN_SUCCESS;
    case STANDIN_EVENT: work->event->stream = NULL; return STANDIN_SUCCESS;
    case STANDIN_HOST: return standin_is_idle ? STANDIN_SUCCESS : work->host(work->data);
    case STANDIN_GRAPH: return do_list(context, &work->exec->list);
    }
    return STANDIN_INVALID_VALUE;
}

static unsigned do_list(CUcontext context, const work_list *list) {
    for (const standin_work *work = list->first; work && !context->dead; work = work->next) context->dead = do_work(context, work);
    return context->dead;
}

static void finish_stream(CUstream stream) {
    work_list list = stream->waiting;
    stream->waiting = (work_list){NULL, NULL};
    do_list(stream->context, &list);
    free_list(&list);
}

void standin_finish(CUcontext context) {
    for (CUstream stream = streams; stream; stream = stream->next) {
        if (stream->context == context) finish_stream(stream);
    }
}

void standin_forget(CUcontext context) {
    for (CUstream stream = streams; stream; stream = stream->next) {
        if (stream->context == context) free_list(&stream->waiting);
    }
}

unsigned standin_enqueue(CUstream stream, unsigned (*host)(void *data), void *data) {
    return enqueue(stream, &(standin_work){.kind = STANDIN_HOST, .host = host, .data = data});
}

/* ---- streams ------------------------------------------------------------------------------------------------ */

unsigned cuStreamCreate(CUstream *out, unsigned flags) {
    STANDIN_CONTEXT(cuStreamCreate);
    CUstream stream = flags == RV_CU_STREAM_NON_BLOCKING ? calloc(1, sizeof *stream) : NULL;
    if (!stream) return STANDIN_INVALID_VALUE;
    stream->context = context;
    stream->next = streams;
    *out = streams = stream;
    standin_made(1);
    return STANDIN_SUCCESS;
}

unsigned cuStreamDestroy_v2(CUstream stream) {
    STANDIN_FAULT(cuStreamDestroy_v2);
    finish_stream(stream);
    for (CUstream *at = &streams; *at; at = &(*at)->next) {
        if (*at != stream) continue;
        *at = stream->next;
        break;
    }
    free(stream);
    standin_made(-1);
    return fault;
}

unsigned cuStreamSynchronize(CUstream stream) {
    STANDIN_CONTEXT(cuStreamSynchronize);
    if (stream->capturing) return STANDIN_CAPTURE_UNSUPPORTED;
    finish_stream(stream);
    return context->dead;
}

unsigned cuEventCreate(CUevent *event, unsigned flags) {
    STANDIN_CONTEXT(cuEventCreate);
    *event = flags == RV_CU_EVENT_DISABLE_TIMING ? calloc(1, sizeof **event) : NULL;
    if (!*event) return STANDIN_INVALID_VALUE;
    standin_made(1);
    return STANDIN_SUCCESS;
}

unsigned cuEventDestroy_v2(CUevent event) {
    STANDIN_FAULT(cuEventDestroy_v2);
    if (event->stream) finish_stream(event->stream);
    free(event);
    standin_made(-1);
    return fault;
}

unsigned cuEventRecord(CUevent event, CUstream stream) {
    STANDIN_CONTEXT(cuEventRecord);
    if (event->stream) finish_stream(event->stream);
    event->stream = stream;
    return enqueue(stream, &(standin_work){.kind = STANDIN_EVENT, .event = event});
}

unsigned cuEventSynchronize(CUevent event) {
    STANDIN_CONTEXT(cuEventSynchronize);
    if (event->stream) finish_stream(event->stream);
    return context->dead;
}

/* ---- copies, kernels -------------------------------------------------------------------------------------------- */

unsigned cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    STANDIN_CONTEXT(cuMemcpyHtoDAsync_v2);
    standin_work work = {.kind = STANDIN_COPY, .to = (char *)(uintptr_t)to, .from = from, .bytes = bytes};
    if (!standin_is_memory(context, work.to, bytes)) return STANDIN_INVALID_VALUE;
    if (!standin_is_pinned(from, bytes)) { /* such memory is read before the call returns */
        work.staged = malloc(bytes);
        if (!work.staged) return STANDIN_OUT_OF_MEMORY;
        memcpy(work.staged, from, bytes);
    }
    return enqueue(stream, &work);
}

unsigned cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    STANDIN_CONTEXT(cuMemcpyDtoHAsync_v2);
    const standin_work work = {.kind = STANDIN_COPY, .to = to, .from = (const char *)(uintptr_t)from, .bytes = bytes};
    if (!standin_is_memory(context, work.from, bytes)) return STANDIN_INVALID_VALUE;
    return enqueue(stream, &work);
}

unsigned cuMemsetD8Async(CUdeviceptr to, unsigned char byte, size_t bytes, CUstream stream) {
    STANDIN_CONTEXT(cuMemsetD8Async);
    const standin_work work = {.kind = STANDIN_FILL, .to = (char *)(uintptr_t)to, .byte = byte, .bytes = bytes};
    if (!standin_is_memory(context, work.to, bytes)) return STANDIN_INVALID_VALUE;
    return enqueue(stream, &work);
}

/* The values are copied when the kernel is launched, as a driver does. */
static void **copy_arguments(const standin_kernel *kernel, void **arguments) {
    size_t bytes = kernel->count * sizeof(void *);
    for (unsigned i = 0; i < kernel->count; i++) bytes += (kernel->bytes[i] + 15u) / 16u * 16u;
    void **copy = malloc(bytes + 16);
    if (!copy) return NULL;
    char *to = (char *)(((uintptr_t)(copy + kernel->count) + 15) / 16 * 16);
    for (unsigned i = 0; i < kernel->count; i++) {
        copy[i] = memcpy(to, arguments[i], kernel->bytes[i]);
        to += (kernel->bytes[i] + 15u) / 16u * 16u;
    }
    return copy;
}

unsigned cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                        unsigned block_z, unsigned shared_bytes, CUstream stream, void **arguments, void **extra) {
    STANDIN_CONTEXT(cuLaunchKernel);
    if (grid_x < 1 || grid_y != 1 || grid_z != 1 || block_x < 1 || block_x > 1024 || block_y != 1 || block_z != 1) return STANDIN_INVALID_VALUE;
    if (grid_x > INT32_MAX || shared_bytes || extra) return STANDIN_INVALID_VALUE;
    standin_work work = {.kind = STANDIN_KERNEL, .function = function, .groups = grid_x, .lanes = block_x};
    work.arguments = copy_arguments(function->kernel, arguments);
    return work.arguments ? enqueue(stream, &work) : STANDIN_OUT_OF_MEMORY;
}

/* ---- graphs ------------------------------------------------------------------------------------------------------- */

unsigned cuStreamBeginCapture_v2(CUstream stream, rv_cu_choice mode) {
    STANDIN_CONTEXT(cuStreamBeginCapture_v2);
    if (mode != RV_CU_CAPTURE_RELAXED || stream->capturing) return STANDIN_INVALID_VALUE;
    stream->capturing = calloc(1, sizeof *stream->capturing);
    if (!stream->capturing) return STANDIN_OUT_OF_MEMORY;
    standin_made(1);
    return STANDIN_SUCCESS;
}

unsigned cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    STANDIN_FAULT(cuStreamEndCapture);
    *graph = stream->capturing;
    stream->capturing = NULL;
    if (fault && *graph) { /* as with an invalid capture: no graph */
        free_list(&(*graph)->list);
        free(*graph);
        *graph = NULL;
        standin_made(-1);
    }
    return fault ? fault : *graph ? STANDIN_SUCCESS : STANDIN_CAPTURE_UNMATCHED;
}

/* The work moves: graphs are instantiated once here. */
unsigned cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
    STANDIN_CONTEXT(cuGraphInstantiateWithFlags);
    *exec = flags ? NULL : calloc(1, sizeof **exec);
    if (!*exec) return STANDIN_INVALID_VALUE;
    (*exec)->context = context;
    (*exec)->list = graph->list;
    graph->list = (work_list){NULL, NULL};
    standin_made(1);
    return STANDIN_SUCCESS;
}

unsigned cuGraphDestroy(CUgraph graph) {
    STANDIN_FAULT(cuGraphDestroy);
    free_list(&graph->list);
    free(graph);
    standin_made(-1);
    return fault;
}

unsigned cuGraphUpload(CUgraphExec exec, CUstream stream) {
    STANDIN_CONTEXT(cuGraphUpload);
    return stream->context == exec->context && exec->context == context ? STANDIN_SUCCESS : STANDIN_INVALID_CONTEXT;
}

unsigned cuGraphLaunch(CUgraphExec exec, CUstream stream) {
    STANDIN_CONTEXT(cuGraphLaunch);
    if (stream->capturing) return STANDIN_CAPTURE_UNSUPPORTED;
    return enqueue(stream, &(standin_work){.kind = STANDIN_GRAPH, .exec = exec});
}

unsigned cuGraphExecDestroy(CUgraphExec exec) {
    STANDIN_FAULT(cuGraphExecDestroy);
    standin_finish(exec->context);
    free_list(&exec->list);
    free(exec);
    standin_made(-1);
    return fault;
}

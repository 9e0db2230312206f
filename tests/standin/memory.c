/* tests/standin/memory.c: the stand-in's memory: host memory between guards. See standin.h. */
#include <stdlib.h>
#include <string.h>

#include "tests/standin/standin.h"

#define DECLARE(name, arguments) STANDIN_API unsigned name arguments;
RV_CU_LIST(DECLARE)

enum { GUARD = 256, GUARD_BYTE = 0xA5, FRESH_BYTE = 0xCD };

static const size_t most_bytes = (size_t)4 << 30;

typedef struct block {
    char *memory; /* behind a guard of GUARD bytes, before another one */
    size_t bytes;
    CUcontext context; /* NULL: pinned host memory */
    struct block *next;
} block;

static block *blocks;
static size_t used;

static bool is_guard(const char *guard) {
    for (int i = 0; i < GUARD; i++) {
        if ((unsigned char)guard[i] != GUARD_BYTE) return false;
    }
    return true;
}

bool standin_guards_hold(void) {
    for (const block *b = blocks; b; b = b->next) {
        if (!is_guard(b->memory - GUARD) || !is_guard(b->memory + b->bytes)) return false;
    }
    return true;
}

static block *add(size_t bytes, CUcontext context) {
    block *b = malloc(sizeof *b);
    const size_t all = (bytes + 2 * GUARD + 255) / 256 * 256;
    char *memory = b ? aligned_alloc(256, all) : NULL;
    if (!memory) {
        free(b);
        return NULL;
    }
    *b = (block){.memory = memory + GUARD, .bytes = bytes, .context = context, .next = blocks};
    memset(memory, GUARD_BYTE, GUARD);
    memset(b->memory, FRESH_BYTE, bytes);
    memset(b->memory + bytes, GUARD_BYTE, GUARD);
    used += bytes;
    standin_made(1);
    return blocks = b;
}

static void drop(block **at) {
    block *b = *at;
    *at = b->next;
    used -= b->bytes;
    free(b->memory - GUARD);
    free(b);
    standin_made(-1);
}

static block *find(const void *memory, size_t bytes) {
    const char *begin = memory;
    for (block *b = blocks; b; b = b->next) {
        if (begin >= b->memory && begin - b->memory <= (ptrdiff_t)b->bytes && bytes <= b->bytes - (size_t)(begin - b->memory)) return b;
    }
    return NULL;
}

bool standin_is_memory(CUcontext context, const void *memory, size_t bytes) {
    const block *b = find(memory, bytes);
    return b && b->context == context;
}

bool standin_is_pinned(const void *memory, size_t bytes) {
    const block *b = find(memory, bytes);
    return b && !b->context;
}

void standin_free_memory_of(CUcontext context) {
    for (block **at = &blocks; *at;) {
        if ((*at)->context == context) drop(at);
        else at = &(*at)->next;
    }
}

unsigned cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    STANDIN_CONTEXT(cuMemGetInfo_v2);
    *total = most_bytes;
    *free_bytes = most_bytes - used;
    return STANDIN_SUCCESS;
}

unsigned cuMemAlloc_v2(CUdeviceptr *memory, size_t bytes) {
    STANDIN_CONTEXT(cuMemAlloc_v2);
    if (bytes == 0) return STANDIN_INVALID_VALUE;
    if (bytes > most_bytes - used) return STANDIN_OUT_OF_MEMORY;
    const block *b = add(bytes, context);
    if (!b) return STANDIN_OUT_OF_MEMORY;
    *memory = (CUdeviceptr)(uintptr_t)b->memory;
    return STANDIN_SUCCESS;
}

static unsigned give_back(const void *memory, bool pinned) {
    for (block **at = &blocks; *at; at = &(*at)->next) {
        if ((*at)->memory != memory || !(*at)->context != pinned) continue;
        drop(at);
        return STANDIN_SUCCESS;
    }
    return STANDIN_INVALID_VALUE;
}

unsigned cuMemFree_v2(CUdeviceptr memory) {
    STANDIN_FAULT(cuMemFree_v2);
    CUcontext context = standin_current();
    if (!context) return STANDIN_INVALID_CONTEXT;
    standin_finish(context);
    const unsigned result = give_back((const void *)(uintptr_t)memory, false);
    return result ? result : fault ? fault : context->dead;
}

unsigned cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
    STANDIN_CONTEXT(cuMemHostAlloc);
    const block *b = flags ? NULL : add(bytes, NULL);
    if (!b) return STANDIN_OUT_OF_MEMORY;
    *memory = b->memory;
    return STANDIN_SUCCESS;
}

unsigned cuMemFreeHost(void *memory) {
    STANDIN_FAULT(cuMemFreeHost);
    CUcontext context = standin_current();
    if (!context) return STANDIN_INVALID_CONTEXT;
    standin_finish(context);
    const unsigned result = give_back(memory, true);
    return result ? result : fault;
}

unsigned cuPointerGetAttribute(void *value, rv_cu_choice attribute, CUdeviceptr memory) {
    STANDIN_CONTEXT(cuPointerGetAttribute);
    const block *b = find((const void *)(uintptr_t)memory, 1);
    if (!b) return STANDIN_INVALID_VALUE;
    const unsigned kind = b->context ? RV_CU_MEMORYTYPE_DEVICE : 1;
    const int ordinal = b->context ? b->context->ordinal : context->ordinal;
    if (attribute == RV_CU_POINTER_MEMORY_TYPE) memcpy(value, &kind, sizeof kind);
    else if (attribute == RV_CU_POINTER_DEVICE_ORDINAL) memcpy(value, &ordinal, sizeof ordinal);
    else return STANDIN_INVALID_VALUE;
    return STANDIN_SUCCESS;
}

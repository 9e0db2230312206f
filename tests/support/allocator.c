/* tests/support/allocator.c: an allocator that counts, and fails when it is told to. */
#include "tests/support/allocator.h"

#include <stdlib.h>

static void *resize(void *user, void *memory, size_t bytes) {
    rv_counting *counting = user;
    if (bytes == 0) {
        counting->live -= memory != NULL;
        free(memory);
        return NULL;
    }
    counting->calls++;
    bool fails = counting->fail_at > 0 && (counting->calls == counting->fail_at ||
                                           (counting->from_then_on && counting->calls > counting->fail_at));
    void *given = fails ? NULL : realloc(memory, bytes);
    if (given && !memory) counting->live++;
    return given;
}

rv_device_options rv_counting_options(rv_counting *counting) {
    return (rv_device_options){.size = sizeof(rv_device_options), .allocator = {resize, counting}};
}

/* tests/support/devices.c: the devices a suite runs on. */
#include "tests/support/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void split(rv_test_devices *list, const char *names) {
    while (*names) {
        names += strspn(names, " ");
        size_t length = strcspn(names, " ");
        if (length > 0 && length < sizeof list->names[0] && list->count < RV_MAX_DEVICES) {
            memcpy(list->names[list->count], names, length);
            list->names[list->count++][length] = 0;
        }
        names += length;
    }
}

void rv_devices_from(rv_test_devices *list, int argc, char **argv, const char *defaults) {
    *list = (rv_test_devices){.explicit_names = true};
    for (int i = 1; i < argc; i++) split(list, argv[i]);
    const char *named = getenv("REVERIE_DEVICES");
    if (list->count == 0 && named) split(list, named);
    if (list->count > 0) return;
    list->explicit_names = false;
    split(list, defaults);
}

bool rv_device_absent(rv_status status) {
    return status == RV_NOT_BUILT_IN || status == RV_NO_DRIVER || status == RV_NO_DEVICE;
}

rv_device *rv_device_open_for_test(const rv_test_devices *list, int index, bool *skip) {
    rv_device *device;
    rv_status status = rv_device_open(list->names[index], NULL, &device);
    *skip = status != RV_OK && rv_device_absent(status) && !list->explicit_names;
    if (status == RV_OK) return device;
    fprintf(stderr, "%s: %s: %s: %s\n", *skip ? "skipped" : "absent", list->names[index], rv_status_text(status),
            rv_device_message(device));
    rv_device_close(device);
    return NULL;
}

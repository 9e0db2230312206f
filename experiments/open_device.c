/* experiments/open_device.c: the device of a command. */
#include <stdio.h>
#include <string.h>

#include "experiments/program.h"

/* What "auto" chose, and why nothing better, is one line on stdout. */
static void say(void *user, rv_log_level level, const char *text) {
    (void)user;
    if (level == RV_LOG_INFO) printf("device      %s\n", text);
    else fprintf(stderr, "reverie: warning: %s\n", text);
}

int program_open_device(const char *resource, rv_device **device) {
    const rv_device_options options = {.size = sizeof options, .log = say};
    rv_status status = rv_device_open(resource, &options, device);
    if (status != RV_OK) return program_fail(EXIT_DEVICE, "%s", *device ? rv_device_message(*device) : "out of memory");
    const char *colon = strrchr(resource, ':');
    if (strcmp(colon ? colon + 1 : resource, "auto") != 0) {
        printf("device      %s, %s\n", rv_device_name(*device), rv_device_description(*device));
    }
    return EXIT_OK;
}

/* experiments/command_devices.c: `reverie devices`. */
#include <stdio.h>
#include <string.h>

#include "experiments/options.h"
#include "experiments/program.h"
#include "reverie/device.h"

static int print_default(void) {
    rv_device *device;
    rv_status status = rv_device_open("auto", NULL, &device);
    if (status == RV_OK) printf("\nauto opens %s: %s\n", rv_device_name(device), rv_device_description(device));
    int code = status == RV_OK ? EXIT_OK : program_fail(EXIT_DEVICE, "%s", rv_device_message(device));
    rv_device_close(device);
    return code;
}

int command_devices(int argc, char **argv) {
    if (program_wants_help(argc, argv)) {
        puts(
            "Usage: reverie devices\n\n"
             "Lists the backends in the order in which --device=auto tries them, whether each can be used\n"
            "here, and what is missing where it cannot.");
        return EXIT_OK;
    }
    option_list none = {0};
    int code = options_from_arguments(NULL, argc, argv, &none);
    options_list_free(&none);
    if (code != EXIT_OK) return code;
    rv_backend_info list[32];
    int count = rv_backend_list(list, 32);
    for (int i = 0; i < count && i < 32; i++) {
        const char *state = list[i].available ? "available" : list[i].built_in ? "not available" : "not built in";
        printf("%-12s %-14s %s\n", list[i].name, state, list[i].text);
    }
    return print_default();
}

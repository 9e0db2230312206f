/* experiments/command_devices.c: `reverie devices`. */
#include <stdio.h>

#include "experiments/json_out.h"
#include "experiments/options.h"
#include "experiments/program.h"

enum { BACKENDS_MAX = 8, DEVICES_MAX = 64 };

typedef struct devices_settings {
    bool json;
} devices_settings;

static const option table[] = {
    OPTION_FLAG(devices_settings, json, "json", "false", "the same as one JSON object"),
};
static const option_schema schema = {.options = table, .count = sizeof table / sizeof *table};

typedef struct found {
    rv_backend_info backend[BACKENDS_MAX];
    rv_device_info device[DEVICES_MAX];
    int backends, devices;
    char chosen[1024]; /* what "auto" says */
} found;

static int at_most(int count, int most) { return count < most ? count : most; }

static void keep(void *user, rv_log_level level, const char *text) {
    found *f = user;
    if (level == RV_LOG_INFO) snprintf(f->chosen, sizeof f->chosen, "%s", text);
}

/* Opens the best one: what there is may still be unfit for use. */
static int look(found *f) {
    rv_device_options options = {.size = sizeof options, .log = keep, .log_user = f};
    rv_device *device;
    f->backends = at_most(rv_backend_list(f->backend, BACKENDS_MAX), BACKENDS_MAX);
    f->devices = at_most(rv_device_list(f->device, DEVICES_MAX), DEVICES_MAX);
    rv_status status = rv_device_open("auto", &options, &device);
    int code = EXIT_OK;
    if (status != RV_OK) code = program_fail(EXIT_DEVICE, "%s", device ? rv_device_message(device) : "out of memory");
    rv_device_close(device);
    return code;
}

static void memory_text(uint64_t bytes, char text[32]) {
    if (bytes == 0) snprintf(text, 32, "unknown");
    else snprintf(text, 32, "%.1f GiB", (double)bytes / (1 << 30));
}

static void print_columns(const found *f) {
    for (int i = 0; i < f->backends; i++) {
        const rv_backend_info *b = &f->backend[i];
        printf("%-12s %-14s %s\n", b->name, b->available ? "available" : b->built_in ? "not available" : "not built in", b->text);
    }
    puts("\nresource     kind   units  memory      name, version");
    for (int i = 0; i < f->devices; i++) {
        const rv_device_info *d = &f->device[i];
        char memory[32];
        memory_text(d->memory_bytes, memory);
        printf("%-12s %-6s %5d  %-10s  %s, %s\n", d->resource, d->gpu ? "GPU" : "CPU", d->units, memory, d->name, d->version);
    }
    printf("\n%s\n", f->chosen);
}

static void print_json(const found *f) {
    json_out json = json_out_begin(stdout, true);
    json_out_object(&json, "backends");
    for (int i = 0; i < f->backends; i++) {
        json_out_object(&json, f->backend[i].name);
        json_out_flag(&json, "built_in", f->backend[i].built_in);
        json_out_flag(&json, "available", f->backend[i].available);
        json_out_text(&json, "text", f->backend[i].text);
        json_out_object_end(&json);
    }
    json_out_object_end(&json);
    json_out_object(&json, "devices");
    for (int i = 0; i < f->devices; i++) {
        json_out_object(&json, f->device[i].resource);
        json_out_text(&json, "name", f->device[i].name);
        json_out_text(&json, "version", f->device[i].version);
        json_out_whole(&json, "memory_bytes", (int64_t)f->device[i].memory_bytes);
        json_out_whole(&json, "units", f->device[i].units);
        json_out_flag(&json, "gpu", f->device[i].gpu);
        json_out_object_end(&json);
    }
    json_out_object_end(&json);
    json_out_text(&json, "auto", f->chosen);
    json_out_end(&json);
}

int command_devices(int argc, char **argv) {
    if (program_wants_help(argc, argv)) {
        puts("Usage: reverie devices [--json]\n\n"
             "Lists the backends in the order in which --device=auto tries them, whether each can be used here, and\n"
             "what is missing and how to get it where it cannot; then every device with the resource that opens it\n"
             "(--device=opencl:0); then what auto chooses, and why nothing better.\n\nOptions");
        options_print(&schema, stdout);
        return EXIT_OK;
    }
    devices_settings settings;
    option_list list = {0};
    int code = options_read(&schema, &settings, argc, argv, &list);
    options_list_free(&list);
    if (code != EXIT_OK) return code;
    found f = {0};
    code = look(&f);
    if (code != EXIT_OK && settings.json) return code;
    (settings.json ? print_json : print_columns)(&f);
    return code;
}

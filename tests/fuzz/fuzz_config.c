/* Any bytes, read as a config file: never a crash or a leak; what is taken is taken whole, and reads back from what is
 * written of it as the same settings. */
#include <stdlib.h>

#include "experiments/program.h"

/* Says nothing: millions of mistakes are made here. */
int program_fail(int code, const char *format, ...) {
    (void)format;
    return code;
}

#include "experiments/config_file.c"
#define refuse refuse_option
#define read_value read_option_value
#include "experiments/options.c"

typedef struct settings {
    int config, choice;
    bool flag;
    int64_t whole;
    double number;
    const char *text;
    option_sizes sizes;
} settings;

static const option table[] = {
    OPTION_CHOICE(settings, config, "config", "default", "default small", "a named config"),
    OPTION_FLAG(settings, flag, "flag", "false", "a flag"),
    OPTION_CHOICE(settings, choice, "data.choice", "one", "one two three", "a choice"),
    OPTION_TEXT(settings, text, "env.name", "cartpole", "a text"),
    OPTION_WHOLE(settings, whole, "train.whole", "7", -5, 1e9, "a whole number"),
    OPTION_NUMBER(settings, number, "train.number", "1e-3", 1e-9, 10, "a number"),
    OPTION_SIZES(settings, sizes, "train.sizes", "3,4", 1, 100, "sizes"),
};
static const char *const small[][2] = {{"train.whole", "2"}};
static const option_named named[] = {{"small", "fewer", 1, small}};
static const option_schema schema = {table, sizeof table / sizeof *table, "env.", named, 1, NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth) {
    if (!truth) abort();
}

static int read_bytes(const void *data, size_t size, settings *s, option_list *list, option_origin *origins,
                      option_extras *extras) {
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
    need(file != NULL);
    int code = config_read_stream(file, "fuzz.yaml", list);
    fclose(file);
    return code == EXIT_OK ? options_apply(&schema, list, s, origins, extras) : code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    settings first, second;
    option_list lists[2] = {{0}, {0}};
    option_origin origins[OPTION_MAX];
    option_extras extras, extras_again;
    char *text = NULL;
    size_t length;
    if (size == 0) return 0;
    int code = read_bytes(data, size, &first, &lists[0], origins, &extras);
    need(code == EXIT_OK || code == EXIT_CONFIG);
    if (code == EXIT_OK) {
        FILE *file = open_memstream(&text, &length);
        need(file != NULL);
        config_write(file, &schema, &first, origins, &extras, "");
        fclose(file);
        need(read_bytes(text, length, &second, &lists[1], NULL, &extras_again) == EXIT_OK);
        FILE *nowhere = fopen("/dev/null", "w");
        need(nowhere != NULL);
        need(config_print_differences(nowhere, &schema, &first, &extras, &second, &extras_again, "") == 0);
        fclose(nowhere);
        free(text);
    }
    options_list_free(&lists[0]);
    options_list_free(&lists[1]);
    return 0;
}

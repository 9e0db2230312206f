/* experiments/command_audit.c: `reverie audit WEIGHTS --batch FILE --out FILE`: every number of DreamerV3's updates. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/config_file.h"
#include "experiments/program.h"
#include "experiments/tensors.h"
#include "reverie/dreamer_v3.h"

typedef struct audit_settings {
    const char *batch, *out, *device;
} audit_settings;

static const option options[] = {
    OPTION_TEXT(audit_settings, batch, "batch", NULL, "the batch and its noise; has to be given"),
    OPTION_TEXT(audit_settings, out, "out", NULL, "where the results go; has to be given"),
    OPTION_TEXT(audit_settings, device, "device", "auto", "where to compute"),
};
static const option_schema schema = {.options = options, .count = sizeof options / sizeof *options};

/* What the weights' metadata say, "config". */
typedef struct audit_config {
    int64_t deter, hidden, stoch, classes, blocks, units, bins, warmup;
    double learning_rate;
    int actor; /* among the words below */
} audit_config;

#define SIZE(field, low, text) OPTION_WHOLE(audit_config, field, "model." #field, "1", low, 1e6, text)
static const option config_options[] = {
    SIZE(deter, 1, "the recurrent state's deterministic part"),
    SIZE(hidden, 1, "the RSSM's layers"),
    SIZE(stoch, 1, "latent variables"),
    SIZE(classes, 1, "of each"),
    SIZE(blocks, 1, "of the recurrent layer"),
    SIZE(units, 1, "the other networks' layers"),
    OPTION_WHOLE(audit_config, bins, "model.bins", "3", 3, 1e6, "of reward and value, odd"),
    OPTION_CHOICE(audit_config, actor, "actor.kind", "bounded_normal", "bounded_normal categorical", "of the policy"),
    OPTION_NUMBER(audit_config, learning_rate, "train.learning_rate", "4e-5", 1e-12, 1, "of the optimiser"),
    OPTION_WHOLE(audit_config, warmup, "train.warmup", "1000", 0, 1e9, "updates until the rate is reached"),
};
enum { KEYS = sizeof config_options / sizeof *config_options };
static const option_schema config_schema = {.options = config_options, .count = KEYS};

/* ---- tensors of the files -------------------------------------------------------------------------------------- */

enum { ROWS = 0, COLS = 1 };

/* Rows and columns of a tensor of floats that must be there. */
static int shape_of(const tensors *file, const char *name, inspect_array *a, int64_t shape[2]) {
    if (!tensors_find(file, name, a)) return program_fail(EXIT_DATA, "%s has no tensor \"%s\"", file->path, name);
    if (a->type != TYPE_F32) {
        return program_fail(EXIT_DATA, "%s: \"%s\" is %s, must be F32", file->path, name, a->type_name);
    }
    if (a->dimensions < 1 || a->dimensions > 2 || a->size == 0) {
        return program_fail(EXIT_DATA, "%s: \"%s\" must have rows and columns", file->path, name);
    }
    shape[ROWS] = a->dimensions == 2 ? a->shape[0] : 1;
    shape[COLS] = a->shape[a->dimensions - 1];
    return EXIT_OK;
}

static int expect_shape(const tensors *file, const char *name, int64_t rows, int64_t cols, inspect_array *a) {
    int64_t shape[2] = {0};
    int code = shape_of(file, name, a, shape);
    if (code != EXIT_OK || (shape[ROWS] == rows && shape[COLS] == cols)) return code;
    return program_fail(EXIT_DATA, "%s: \"%s\" is [%lld, %lld], must be [%lld, %lld]", file->path, name,
                        (long long)shape[ROWS], (long long)shape[COLS], (long long)rows, (long long)cols);
}

typedef enum range { ANY, FLAG, UNIFORM } range;

static bool within(range range, float x) {
    if (range == FLAG) return x == 0 || x == 1;
    return range == UNIFORM ? x > 0 && x < 1 : isfinite(x);
}

/* *values is to be freed, whatever the code. */
static int load(const tensors *file, const char *name, int64_t rows, int64_t cols, range range, float **values) {
    static const char *const wanted[] = {"a finite number", "0 or 1", "inside (0, 1)"};
    inspect_array a;
    int code = expect_shape(file, name, rows, cols, &a);
    if (code != EXIT_OK) return code;
    *values = malloc(a.size);
    if (!*values) return program_fail(EXIT_DEVICE, "no memory to read %s", file->path);
    memcpy(*values, a.data, a.size);
    for (int64_t i = 0; i < rows * cols; i++) {
        if (within(range, (*values)[i])) continue;
        return program_fail(EXIT_DATA, "%s: \"%s\" [%lld, %lld] is %g, must be %s", file->path, name,
                            (long long)(i / cols), (long long)(i % cols), (double)(*values)[i], wanted[range]);
    }
    return EXIT_OK;
}

/* ---- config ---------------------------------------------------------------------------------------------------- */

/* Keys that are not ours go: an agent's file may hold all of its settings. */
static void keep_known(option_list *list) {
    option_list rest = {.entries = list->entries, .capacity = list->capacity};
    for (int i = 0; i < list->count; i++) {
        option_entry entry = list->entries[i];
        if (options_find(&config_schema, entry.key)) {
            rest.entries[rest.count++] = entry;
        } else {
            free(entry.key);
            free(entry.value);
        }
    }
    *list = rest;
}

static bool has_key(const option_list *list, const char *key) {
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].key, key) == 0) return true;
    }
    return false;
}

static int apply_config(const char *path, option_list *list, audit_config *config) {
    keep_known(list);
    for (int i = 0; i < KEYS; i++) {
        if (has_key(list, config_options[i].key)) continue;
        return program_fail(EXIT_CONFIG, "%s: its metadata \"config\" lacks %s", path, config_options[i].key);
    }
    int code = options_apply(&config_schema, list, config, NULL, NULL);
    if (code != EXIT_OK) return code;
    if (config->deter % config->blocks != 0)
        return program_fail(EXIT_CONFIG, "%s: model.blocks must divide model.deter", path);
    return config->bins % 2 ? EXIT_OK : program_fail(EXIT_CONFIG, "%s: model.bins must be odd", path);
}

static int read_config(const tensors *weights, audit_config *config) {
    const char *kind = tensors_text(weights, "kind"), *text = tensors_text(weights, "config");
    if (!kind || strcmp(kind, "dreamer_v3") != 0) {
        return program_fail(EXIT_DATA, "%s: its metadata \"kind\" is \"%.64s\", must be \"dreamer_v3\"", weights->path,
                            kind ? kind : "");
    }
    if (!text || !*text) return program_fail(EXIT_CONFIG, "%s: no metadata \"config\"", weights->path);
    option_list list = {0};
    FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    if (!stream) return program_fail(EXIT_DEVICE, "no memory to read %s", weights->path);
    int code = config_read_stream(stream, weights->path, &list);
    fclose(stream);
    if (code == EXIT_OK) code = apply_config(weights->path, &list, config);
    options_list_free(&list);
    return code;
}

/* ---- what is audited ------------------------------------------------------------------------------------------- */

enum { INPUTS = 12 };

typedef struct job {
    tensors weights, batch;
    audit_config config;
    int64_t observation, action, sequences, steps, updates, horizon;
    rv_device *device;
    rv_dreamer_v3 *agent;
    float *input[INPUTS];
    tensor_list results;
} job;

/* Sizes by the weights, and that the config agrees, before anything is made of it. */
static int size_model(job *j) {
    const audit_config *c = &j->config;
    const struct {
        const char *name;
        int64_t rows, cols;
    } known[] = {{"dyn/gates/weight", c->deter, 3 * (c->deter / c->blocks)},
                 {"prior/logits/weight", c->hidden, c->stoch * c->classes},
                 {"enc/1/weight", c->units, c->units},
                 {"rew/out/bias", 1, c->bins}};
    inspect_array a;
    int64_t shape[2] = {0};
    int code = EXIT_OK;
    for (size_t i = 0; i < sizeof known / sizeof *known && code == EXIT_OK; i++)
        code = expect_shape(&j->weights, known[i].name, known[i].rows, known[i].cols, &a);
    if (code == EXIT_OK) code = shape_of(&j->weights, "enc/0/weight", &a, shape);
    j->observation = shape[ROWS];
    if (code == EXIT_OK) code = shape_of(&j->weights, "dyn/action/weight", &a, shape);
    j->action = shape[ROWS];
    return code;
}

/* *quotient = the rows of a tensor / by. */
static int divide_rows(const tensors *file, const char *name, int64_t by, const char *what, int64_t *quotient) {
    inspect_array a;
    int64_t shape[2] = {0};
    int code = shape_of(file, name, &a, shape);
    if (code != EXIT_OK) return code;
    *quotient = shape[ROWS] / by;
    if (shape[ROWS] % by == 0 && *quotient > 0) return EXIT_OK;
    return program_fail(EXIT_DATA, "%s: \"%s\" has %lld rows, must have a multiple of %lld: %s", file->path, name,
                        (long long)shape[ROWS], (long long)by, what);
}

static int size_batch(job *j) {
    const tensors *batch = &j->batch;
    int code = divide_rows(batch, "carry/deter", 1, "sequences", &j->sequences);
    if (code == EXIT_OK) code = divide_rows(batch, "reward", j->sequences, "the sequences' steps", &j->steps);
    const int64_t rows = j->steps * j->sequences;
    if (code == EXIT_OK) code = divide_rows(batch, "noise/posterior", rows, "one for each row and update", &j->updates);
    if (code == EXIT_OK)
        code = divide_rows(batch, "noise/prior", rows * j->updates, "one for each row, update and imagined step",
                           &j->horizon);
    if (code != EXIT_OK || j->steps > 1) return code;
    return program_fail(EXIT_DATA, "%s: \"reward\" holds a single step, must hold 2 or more", batch->path);
}

static int load_batch(job *j, rv_dreamer_v3_audit_batch *in) {
    const audit_config *c = &j->config;
    const int64_t B = j->sequences, N = B * j->steps, U = j->updates, H = j->horizon, A = j->action;
    const bool classes = c->actor == 1;
    const struct {
        const char *name;
        int64_t rows, cols;
        range range;
        const float **to;
    } all[INPUTS] = {{"observation", N, j->observation, ANY, &in->observation},
                     {"action", N, A, ANY, &in->action},
                     {"reward", N, 1, ANY, &in->reward},
                     {"is_first", N, 1, FLAG, &in->is_first},
                     {"is_last", N, 1, FLAG, &in->is_last},
                     {"is_terminal", N, 1, FLAG, &in->is_terminal},
                     {"carry/deter", B, c->deter, ANY, &in->carry_deter},
                     {"carry/stoch", B, c->stoch * c->classes, ANY, &in->carry_stoch},
                     {"carry/action", B, A, ANY, &in->carry_action},
                     {"noise/posterior", U * N, c->stoch, UNIFORM, &in->noise_posterior},
                     {"noise/prior", U * H * N, c->stoch, UNIFORM, &in->noise_prior},
                     {"noise/action", U * (H + 1) * N, classes ? 1 : A, classes ? UNIFORM : ANY, &in->noise_action}};
    *in = (rv_dreamer_v3_audit_batch){.size = sizeof *in, .sequences = B, .steps = j->steps, .updates = U};
    int code = EXIT_OK;
    for (int i = 0; i < INPUTS && code == EXIT_OK; i++) {
        code = load(&j->batch, all[i].name, all[i].rows, all[i].cols, all[i].range, &j->input[i]);
        *all[i].to = j->input[i];
    }
    return code;
}

/* ---- the agent ------------------------------------------------------------------------------------------------- */

static int make_agent(job *j) {
    const audit_config *c = &j->config;
    const rv_dreamer_v3_options o = {
        .size = sizeof o,
        .model = {.size = sizeof o.model,
                  .observation_size = j->observation,
                  .action_size = j->action,
                  .rssm = {.size = sizeof o.model.rssm,
                           .deter = c->deter,
                           .hidden = c->hidden,
                           .stoch = c->stoch,
                           .classes = c->classes,
                           .blocks = c->blocks},
                  .units = c->units,
                  .bins = c->bins},
        .actor = c->actor == 1 ? RV_ACTOR_CATEGORICAL : RV_ACTOR_BOUNDED_NORMAL,
        .horizon = j->horizon,
        .learning_rate = (float)c->learning_rate,
        .warmup = c->warmup ? c->warmup : -1};
    rv_status status = rv_dreamer_v3_create(j->device, &o, 0, &j->agent);
    return status == RV_OK ? EXIT_OK : program_fail(program_code(status), "%s", rv_dreamer_v3_message(j->agent));
}

/* One part of a weight; without an ending it must be there. */
static int load_weight(job *j, rv_params *params, int index, rv_params_part part, const char *ending) {
    char name[256];
    int64_t rows = 0, cols = 0;
    float *values = NULL;
    inspect_array a;
    snprintf(name, sizeof name, "%s%s", rv_params_name(params, index), ending);
    rv_params_shape(params, index, &rows, &cols);
    if (*ending && !tensors_find(&j->weights, name, &a)) return EXIT_OK;
    int code = load(&j->weights, name, rows, cols, ANY, &values);
    if (code == EXIT_OK && rv_params_set(params, index, part, values) != RV_OK)
        code = program_fail(EXIT_DEVICE, "%s", rv_params_message(params));
    free(values);
    return code;
}

static int load_weights(job *j, rv_params *params, bool moments) {
    int code = EXIT_OK;
    for (int i = 0; i < rv_params_count(params) && code == EXIT_OK; i++) {
        code = load_weight(j, params, i, RV_VALUE, "");
        if (code == EXIT_OK && moments) code = load_weight(j, params, i, RV_MOMENT1, "/moment1");
        if (code == EXIT_OK && moments) code = load_weight(j, params, i, RV_MOMENT2, "/moment2");
    }
    return code;
}

static int load_returns(job *j) {
    rv_return_normaliser *returns = rv_dreamer_v3_returns(j->agent);
    rv_array *const arrays[] = {rv_return_normaliser_low(returns), rv_return_normaliser_high(returns)};
    int code = EXIT_OK;
    for (int i = 0; i < 2 && code == EXIT_OK; i++) {
        float *value = NULL;
        code = load(&j->weights, i ? "returns/high" : "returns/low", 1, 1, ANY, &value);
        if (code == EXIT_OK && rv_array_write(arrays[i], 0, 1, value) != RV_OK)
            code = program_fail(EXIT_DEVICE, "%s", rv_array_message(arrays[i]));
        free(value);
    }
    return code;
}

static int load_updates(job *j) {
    inspect_array a;
    int32_t updates;
    if (!tensors_find(&j->weights, "updates", &a)) return EXIT_OK;
    if (a.type != TYPE_I32 || a.size != sizeof updates)
        return program_fail(EXIT_DATA, "%s: \"updates\" must be a single I32", j->weights.path);
    memcpy(&updates, a.data, sizeof updates);
    if (updates < 0) return program_fail(EXIT_DATA, "%s: \"updates\" is negative", j->weights.path);
    rv_array *array = rv_params_updates(rv_dreamer_v3_params(j->agent));
    if (rv_array_write(array, 0, 1, &updates) == RV_OK) return EXIT_OK;
    return program_fail(EXIT_DEVICE, "%s", rv_array_message(array));
}

static int load_agent(job *j) {
    int code = load_weights(j, rv_dreamer_v3_params(j->agent), true);
    if (code == EXIT_OK) code = load_weights(j, rv_dreamer_v3_slow_params(j->agent), false);
    if (code == EXIT_OK) code = load_returns(j);
    return code == EXIT_OK ? load_updates(j) : code;
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static int take(void *user, const char *name, int64_t rows, int64_t cols, const float *values) {
    job *j = user;
    if (tensor_list_add(&j->results, name, rows, cols, values)) return 0;
    return program_fail(EXIT_DEVICE, "no memory for \"%s\"", name);
}

static int run_updates(job *j, const audit_settings *s) {
    rv_dreamer_v3_audit_batch batch;
    int code = load_batch(j, &batch);
    if (code != EXIT_OK) return code;
    rv_status status = rv_dreamer_v3_audit(j->agent, &batch, take, j);
    if (status == RV_CANCELLED) return EXIT_DEVICE; /* said already */
    if (status != RV_OK) return program_fail(program_code(status), "%s", rv_dreamer_v3_message(j->agent));
    code = tensor_list_write(&j->results, s->out, "dreamer_v3_audit");
    if (code == EXIT_OK)
        printf("audit       %lld updates of %lld x %lld, %d tensors in %s\n", (long long)j->updates,
               (long long)j->sequences, (long long)j->steps, j->results.count, s->out);
    return code;
}

static int audit(job *j, const char *weights, const audit_settings *s) {
    int code = tensors_open(&j->weights, weights);
    if (code == EXIT_OK) code = tensors_open(&j->batch, s->batch);
    if (code == EXIT_OK) code = read_config(&j->weights, &j->config);
    if (code == EXIT_OK) code = size_model(j);
    if (code == EXIT_OK) code = size_batch(j);
    if (code == EXIT_OK) code = program_open_device(s->device, &j->device);
    if (code == EXIT_OK) code = make_agent(j);
    if (code == EXIT_OK) code = load_agent(j);
    return code == EXIT_OK ? run_updates(j, s) : code;
}

static void release(job *j) {
    rv_dreamer_v3_destroy(j->agent);
    rv_device_close(j->device);
    for (int i = 0; i < INPUTS; i++) free(j->input[i]);
    tensor_list_free(&j->results);
    tensors_close(&j->weights);
    tensors_close(&j->batch);
}

static void print_help(void) {
    puts("Usage: reverie audit WEIGHTS --batch FILE --out FILE [--device=NAME]\n\n"
         "Makes DreamerV3's updates with given weights, on a given batch with given noise, and writes every loss,\n"
         "gradient, moment and state on the way, so that they can be compared with another program's. All files are\n"
         "safetensors; docs/audit.md states names, shapes and equations.\n\nOptions");
    options_print(&schema, stdout);
}

int command_audit(int argc, char **argv) {
    if (program_wants_help(argc, argv)) {
        print_help();
        return EXIT_OK;
    }
    static const char usage[] = "audit needs weights, a batch and where to write: "
                                "reverie audit WEIGHTS --batch FILE --out FILE";
    const bool named = argc > 0 && argv[0][0] != '-';
    audit_settings settings = {0};
    option_list words = {0};
    job j = {0};
    int code = options_read(&schema, &settings, named ? argc - 1 : argc, named ? argv + 1 : argv, &words);
    if (code == EXIT_OK && (!named || !settings.batch || !settings.out)) code = program_fail(EXIT_USAGE, "%s", usage);
    if (code == EXIT_OK) code = audit(&j, argv[0], &settings);
    release(&j);
    options_list_free(&words);
    return code;
}

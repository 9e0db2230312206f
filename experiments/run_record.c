/* experiments/run_record.c */
#include "experiments/run_record.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/config_file.h"
#include "experiments/program.h"

const char run_checkpoint_name[] = "checkpoints/last.safetensors";

/* ---- on the way ------------------------------------------------------------------------------------------------ */

int run_open_events(const run_folder *run, const run_config *config, const rv_env_spaces *spaces, int64_t step,
                    tensorboard **events) {
    *events = tensorboard_open(run->path, step > 0 ? step + 1 : 0);
    if (!*events) {
        return program_fail(EXIT_IO, "cannot write a TensorBoard file to %s: %s", run->path, strerror(errno));
    }
    char *text = step == 0 ? run_config_text(config, spaces) : NULL;
    if (text) tensorboard_text(*events, "config", 0, text);
    free(text);
    return EXIT_OK;
}

int run_write_metrics(const run_folder *run, const history *h, tensorboard *events,
                      void (*tag_of)(const char *name, char tag[64])) {
    char tag[64];
    const int64_t last = h->count - 1;
    history_write_last(h, run->metrics);
    for (int m = 0; m < h->metric_count; m++) {
        tag_of(h->name[m], tag);
        if (isfinite(h->value[m][last])) {
            tensorboard_scalar(events, tag, (int64_t)h->step[last], (float)h->value[m][last]);
        }
    }
    if (!ferror(run->metrics) && tensorboard_flush(events)) return EXIT_OK;
    return program_fail(
        EXIT_IO,
        "cannot write the metrics in %s: %s; the last checkpoint is whole, and the same command goes on from it",
        run->path, strerror(errno ? errno : EIO));
}

/* ---- the checkpoint ---------------------------------------------------------------------------------------------- */

rv_status run_describe(rv_checkpoint *checkpoint, const char *kind, const run_config *config,
                       const rv_env_spaces *spaces, const char *device) {
    char device_kind[64];
    run_config_device(device, device_kind);
    char *text = run_config_text(config, spaces);
    rv_status status = text ? rv_checkpoint_set(checkpoint, "config", text) : RV_OUT_OF_MEMORY;
    if (status == RV_OK) status = rv_checkpoint_set(checkpoint, "device", device_kind);
    if (status == RV_OK) status = rv_checkpoint_set(checkpoint, "kind", kind);
    if (status == RV_OK) status = rv_checkpoint_set(checkpoint, "version", rv_version());
    free(text);
    return status;
}

int run_check_device(const rv_checkpoint *checkpoint, const char *device) {
    char kind[64];
    const char *before = rv_checkpoint_get(checkpoint, "device");
    run_config_device(device, kind);
    if (before && strcmp(before, kind) == 0) return EXIT_OK;
    return program_fail(EXIT_CONFIG,
                        "the run was begun on the device %s, this is %s; --device=%s goes on, --fresh begins anew",
                        before ? before : "(unknown)", kind, before ? before : "auto");
}

int run_state_hash(const run_folder *run, const history *h, const char *more, char text[65]) {
    char path[RUN_PATH_SIZE], block[1 << 16];
    sha256 hash;
    FILE *file = fopen(run_folder_file(run, run_checkpoint_name, path, sizeof path), "re");
    if (!file) return program_fail(EXIT_IO, "cannot read %s", path);
    sha256_begin(&hash);
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;) sha256_add(&hash, block, got);
    const bool bad = ferror(file) != 0;
    fclose(file);
    if (more) sha256_add(&hash, more, strlen(more));
    sha256_add(&hash, h->step, (size_t)h->count * sizeof *h->step);
    for (int m = 0; m < h->metric_count; m++) {
        sha256_add(&hash, h->name[m], strlen(h->name[m]));
        sha256_add(&hash, h->value[m], (size_t)h->count * sizeof *h->value[m]);
    }
    sha256_end(&hash, text);
    return bad ? program_fail(EXIT_IO, "cannot read %s", path) : EXIT_OK;
}

int run_write_summary(const run_folder *run, tensorboard *events, void (*write)(FILE *file, const void *user),
                      const void *user) {
    if (!tensorboard_flush(events)) {
        return program_fail(EXIT_IO, "cannot write the TensorBoard file in %s", run->path);
    }
    int code = run_folder_write(run, "summary.json", write, user);
    if (code != EXIT_OK) return code;
    printf("checkpoint  %s/%s\n", run->path, run_checkpoint_name);
    printf("figures     %s/summary.json, %s/metrics.jsonl\n", run->path, run->path);
    return EXIT_OK;
}

/* ---- settings --------------------------------------------------------------------------------------------------- */

int run_take_settings(const option_schema *schema, const char *file, int argc, char **argv, option_list *list,
                      void *settings, option_origin *origins, option_extras *extras) {
    int code = file ? config_read_file(file, list) : EXIT_OK;
    if (code == EXIT_OK) code = options_from_arguments(schema, argc, argv, list);
    return code == EXIT_OK ? options_apply(schema, list, settings, origins, extras) : code;
}

int run_read_settings(run_folder *run, const char *folder, const option_schema *schema, option_list *list,
                      void *settings, option_origin *origins, option_extras *extras) {
    char path[RUN_PATH_SIZE];
    if (strlen(folder) >= sizeof run->path) return program_fail(EXIT_IO, "the path of the run folder is too long");
    strcpy(run->path, folder);
    int code = config_read_file(run_folder_file(run, "config.yaml", path, sizeof path), list);
    return code == EXIT_OK ? options_apply(schema, list, settings, origins, extras) : code;
}

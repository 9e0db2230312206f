/* models/trainer_run.c: updates, their metrics, validation, and the loop round them. */
#include <string.h>

#include "models/trainer.h"

rv_status rv_trainer_run(rv_trainer *trainer, int64_t steps) {
    if (!trainer || steps < 0) return RV_INVALID_ARGUMENT;
    if (!trainer->plan) return RV_WRONG_STATE;
    for (int64_t i = 0; i < steps; i++) {
        rv_status status = rv_plan_run(trainer->plan);
        if (status != RV_OK) return rv_trainer_fail(trainer, status, "step", rv_plan_message(trainer->plan));
        trainer->steps++;
    }
    return RV_OK;
}

static void give_metrics(const rv_trainer *trainer, const float *values, rv_metric metrics[RV_TRAINER_METRICS]) {
    for (int m = 0; m < RV_TRAINER_METRICS; m++) {
        metrics[m] = (rv_metric){trainer->metric_name[m], m < trainer->metric_count ? values[m] : 0};
    }
}

/* The weights' own count of updates, for they may have been loaded. */
static rv_status count_updates(rv_trainer *trainer, int32_t *updates) {
    rv_array *array = rv_params_updates(trainer->params);
    rv_status status = rv_array_read(array, 0, 1, updates);
    return status == RV_OK ? RV_OK : rv_trainer_fail(trainer, status, "updates", rv_array_message(array));
}

static rv_status check_health(rv_trainer *trainer) {
    const char *bad;
    rv_status status = rv_device_health(trainer->device, &bad);
    return status == RV_OK ? RV_OK : rv_trainer_fail(trainer, status, "metrics", rv_device_message(trainer->device));
}

rv_status rv_trainer_metrics(rv_trainer *trainer, rv_metric metrics[RV_TRAINER_METRICS]) {
    if (!trainer || !metrics) return RV_INVALID_ARGUMENT;
    if (trainer->steps == trainer->seen) return rv_trainer_fail(trainer, RV_WRONG_STATE, "metrics", "no update since they were last read");
    rv_status status = check_health(trainer);
    if (status != RV_OK) return status;
    int64_t count = trainer->steps - trainer->seen;
    if (count > RV_METRIC_ROWS) count = RV_METRIC_ROWS;
    int32_t updates;
    status = count_updates(trainer, &updates);
    if (status != RV_OK) return status;
    if (updates < count) count = updates;
    if (count == 0) return rv_trainer_fail(trainer, RV_WRONG_STATE, "metrics", "the device counted no update");
    double sums[RV_TRAINER_METRICS] = {0};
    float row[RV_TRAINER_METRICS];
    for (int64_t i = updates - count; i < updates && status == RV_OK; i++) {
        status = rv_array_read(trainer->metrics, i % RV_METRIC_ROWS, 1, row);
        for (int m = 0; m < trainer->metric_count && status == RV_OK; m++) sums[m] += row[m];
    }
    if (status != RV_OK) return rv_trainer_fail(trainer, status, "metrics", rv_array_message(trainer->metrics));
    for (int m = 0; m < trainer->metric_count; m++) row[m] = (float)(sums[m] / (double)count);
    give_metrics(trainer, row, metrics);
    trainer->seen = trainer->steps;
    return RV_OK;
}

rv_status rv_trainer_validate(rv_trainer *trainer, rv_metric metrics[RV_TRAINER_METRICS]) {
    if (!trainer || !metrics) return RV_INVALID_ARGUMENT;
    if (!trainer->validation_plan) return rv_trainer_fail(trainer, RV_WRONG_STATE, "validation", "the trainer was made without data for it");
    float row[RV_TRAINER_METRICS];
    rv_status status = rv_plan_run(trainer->validation_plan);
    if (status != RV_OK) return rv_trainer_fail(trainer, status, "validation", rv_plan_message(trainer->validation_plan));
    status = rv_array_read(trainer->validation_result, 0, 1, row);
    if (status != RV_OK) return rv_trainer_fail(trainer, status, "validation", rv_array_message(trainer->validation_result));
    give_metrics(trainer, row, metrics);
    return RV_OK;
}

/* ---- the loop ----------------------------------------------------------------------------------------------- */

static rv_status keep_report(rv_trainer *trainer, const rv_trainer_report *report) {
    if (trainer->reports == trainer->capacity) {
        int64_t capacity = trainer->capacity ? 2 * trainer->capacity : 64;
        rv_trainer_report *history = rv_device_resize(trainer->device, trainer->history, (size_t)capacity * sizeof *history);
        if (!history) return rv_trainer_fail(trainer, RV_OUT_OF_MEMORY, "fit", "no memory for the history");
        trainer->history = history;
        trainer->capacity = capacity;
    }
    trainer->history[trainer->reports++] = *report;
    return RV_OK;
}

static rv_status read_patience(rv_trainer *trainer, float patience[2]) {
    rv_status status = rv_array_read(trainer->patience, 0, 1, patience);
    return status == RV_OK ? RV_OK : rv_trainer_fail(trainer, status, "patience", rv_array_message(trainer->patience));
}

/* Also counts the reports without a lower validation loss; they are on the device to be part of a checkpoint. */
static rv_status validate(rv_trainer *trainer, rv_trainer_report *report, float patience[2]) {
    rv_metric metrics[RV_TRAINER_METRICS];
    rv_status status = rv_trainer_validate(trainer, metrics);
    if (status == RV_OK) status = read_patience(trainer, patience);
    if (status != RV_OK) return status;
    for (int m = 0; m < RV_TRAINER_METRICS; m++) report->validation[m] = metrics[m].value;
    patience[1] = metrics[0].value < patience[0] ? 0 : patience[1] + 1;
    if (patience[1] == 0) patience[0] = metrics[0].value;
    return rv_trainer_write(trainer, trainer->patience, patience);
}

static rv_status make_report(rv_trainer *trainer, rv_trainer_report *report, float patience[2]) {
    rv_metric metrics[RV_TRAINER_METRICS];
    rv_status status = rv_trainer_metrics(trainer, metrics);
    for (int m = 0; m < RV_TRAINER_METRICS && status == RV_OK; m++) report->training[m] = metrics[m].value;
    if (status == RV_OK && trainer->validation_plan) status = validate(trainer, report, patience);
    return status == RV_OK ? keep_report(trainer, report) : status;
}

static rv_status fit(rv_trainer *trainer, const rv_fit_options *options) {
    int32_t updates;
    float patience[2] = {0, 0};
    rv_status status = count_updates(trainer, &updates);
    if (status == RV_OK && trainer->patience) status = read_patience(trainer, patience);
    while (status == RV_OK && updates < options->updates && !(options->patience > 0 && patience[1] >= (float)options->patience)) {
        /* reports stand at whole multiples of `every`, also after a resumption in between */
        int64_t next = (updates / options->every + 1) * options->every;
        if (next > options->updates) next = options->updates;
        rv_trainer_report report = {.update = next, .updates = options->updates};
        status = rv_trainer_run(trainer, next - updates);
        if (status == RV_OK) status = make_report(trainer, &report, patience);
        if (status == RV_OK && options->progress && options->progress(options->user, &report)) {
            return rv_trainer_fail(trainer, RV_CANCELLED, "fit", "cancelled by the caller");
        }
        updates = (int32_t)next;
    }
    return status;
}

rv_status rv_trainer_fit(rv_trainer *trainer, const rv_fit_options *given) {
    if (!trainer) return RV_INVALID_ARGUMENT;
    rv_fit_options options = {0};
    if (given) memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    if (options.updates == 0) options.updates = 1000;
    if (options.every == 0) options.every = 100;
    if (options.updates < 0 || options.updates > INT32_MAX || options.every < 0 || options.patience < 0) {
        return rv_trainer_fail(trainer, RV_INVALID_ARGUMENT, "fit", "updates, every and patience must not be negative, nor updates beyond 2^31 - 1");
    }
    if (options.patience > 0 && !trainer->validation_plan) {
        return rv_trainer_fail(trainer, RV_INVALID_ARGUMENT, "fit", "patience needs validation data");
    }
    rv_status status = fit(trainer, &options);
    if (status != RV_OK && !trainer->message[0]) rv_trainer_fail(trainer, status, "fit", rv_status_text(status));
    return status;
}

const rv_trainer_report *rv_trainer_history(const rv_trainer *trainer, int64_t *count) {
    if (count) *count = trainer ? trainer->reports : 0;
    return trainer ? trainer->history : NULL;
}

rv_status rv_trainer_checkpoint(rv_trainer *trainer, rv_checkpoint *checkpoint) {
    if (!trainer || !checkpoint) return RV_INVALID_ARGUMENT;
    rv_status status = trainer->sequence ? rv_sequence_model_checkpoint(trainer->sequence, "model/", checkpoint)
                                         : rv_world_model_checkpoint(trainer->model, "model/", checkpoint);
    if (status == RV_OK) status = rv_checkpoint_add_array(checkpoint, "trainer/random", rv_random_array(trainer->random));
    if (status == RV_OK) status = rv_checkpoint_add_array(checkpoint, "trainer/learning_rate", trainer->learning_rate);
    if (status == RV_OK && trainer->patience) status = rv_checkpoint_add_array(checkpoint, "trainer/patience", trainer->patience);
    return status == RV_OK ? RV_OK : rv_trainer_fail(trainer, status, "checkpoint", rv_checkpoint_message(checkpoint));
}

/* models/trainer.h: a trainer's parts, for the files of models/. */
#ifndef RV_MODELS_TRAINER_H
#define RV_MODELS_TRAINER_H

#include <stdbool.h>

#include "reverie/sequence_trainer.h"

enum { RV_METRIC_ROWS = 1024 }; /* updates that can pass before the host must look */

/* Transitions on the device. */
typedef struct rv_trainer_data {
    int64_t rows;
    rv_array *table;     /* [rows, 2 O + A + 1]: observation | next observation | action | reward; with flags + 2:
                          * terminated | last of its episode. Sequences: observation | action | reward | is_first |
                          * is_last | is_terminal */
    rv_array *row_count; /* i32 [1, 1]: rows at which a sample can begin */
    rv_array *index;     /* i32 [batch, 1]: what a validation takes; NULL for training, which draws */
} rv_trainer_data;

struct rv_trainer {
    rv_device *device;
    rv_world_model *model;       /* NULL where it trains a */
    rv_sequence_model *sequence; /* .. */
    rv_params *params;           /* whose weights these are, of either */
    char message[512];
    rv_trainer_options options;
    rv_sequence_trainer_options sequence_options;
    bool windows, flags; /* windows of transitions; the table holds flags */
    int metric_count;
    const char *metric_name[RV_TRAINER_METRICS];
    rv_trainer_data training, validation;
    rv_array *learning_rate;     /* [1, 1]: before warm-up and decay */
    rv_array *metrics;           /* [RV_METRIC_ROWS, metric_count], row = update mod RV_METRIC_ROWS */
    rv_array *offsets;           /* i32 [steps, 1]: 0, 1 .. of a sequence's rows; else NULL */
    rv_array *validation_result; /* [1, metric_count] */
    rv_array *patience;          /* [1, 2]: lowest validation loss, reports since */
    rv_random *random, *validation_random;
    rv_plan *plan, *validation_plan;
    int64_t steps, seen; /* updates run, and those whose metrics were given out */
    rv_trainer_report *history;
    int64_t reports, capacity;
};

rv_status rv_trainer_fail(rv_trainer *trainer, rv_status status, const char *what, const char *why);
rv_status rv_trainer_make_array(rv_trainer *trainer, rv_dtype dtype, int64_t rows, int64_t cols, const char *name, rv_array **array);
rv_status rv_trainer_write(rv_trainer *trainer, rv_array *array, const void *row); /* its one row */

/* The index of this metric is the same for all models; what comes before it are the total and losses. */
enum { RV_METRIC_NORM = 5 };

/* trainer.c: a trainer of nothing yet; NULL: no memory. Then everything of it, once model and options are there. */
rv_trainer *rv_trainer_begin(rv_device *device);
rv_status rv_trainer_finish(rv_trainer *trainer, const rv_transitions *data);

/* trainer_data.c: copies transitions to the device; destroys them; the losses of rows index [batch, 1] and what follows them. */
rv_status rv_trainer_upload(rv_trainer *trainer, const rv_transitions *from, int64_t batch, rv_trainer_data *to);
void rv_trainer_data_destroy(rv_trainer_data *data);
rv_world_model_losses rv_trainer_losses(rv_graph *graph, rv_trainer *trainer, const rv_trainer_data *data, rv_tensor index,
                                        rv_tensor kl_weight, rv_tensor state);

/* sequence_trainer.c: the same of sequences; row: the metrics, that of the gradient's norm left out. */
rv_status rv_trainer_upload_sequences(rv_trainer *trainer, const rv_transitions *from, int64_t batch, rv_trainer_data *to);
void rv_trainer_sequence_losses(rv_graph *graph, rv_trainer *trainer, const rv_trainer_data *data, rv_tensor index, rv_tensor state,
                                rv_tensor row[RV_TRAINER_METRICS]);

#endif

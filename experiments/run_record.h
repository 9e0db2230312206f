/* experiments/run_record.h: what a run of any kind writes down on its way, and how it goes on from that. Exit codes,
 * having printed what is wrong. */
#ifndef EXPERIMENTS_RUN_RECORD_H
#define EXPERIMENTS_RUN_RECORD_H

#include "experiments/history.h"
#include "experiments/run_config.h"
#include "experiments/sha256.h"
#include "experiments/tensorboard.h"
#include "reverie/checkpoint.h"

extern const char run_checkpoint_name[]; /* in the run folder */

/* The TensorBoard file of a run that stands after `step`; a new run's begins with its config. */
int run_open_events(const run_folder *run, const run_config *config, const rv_env_spaces *spaces, int64_t step,
                    tensorboard **events);

/* Writes the history's last row, each metric under the TensorBoard tag that `tag_of` makes of its name; what is not
 * finite has none there. */
int run_write_metrics(const run_folder *run, const history *history, tensorboard *events,
                      void (*tag_of)(const char *name, char tag[64]));

/* What a checkpoint says of the run: config, device, kind and version. */
rv_status run_describe(rv_checkpoint *checkpoint, const char *kind, const run_config *config,
                       const rv_env_spaces *spaces, const char *device);

/* Refuses a checkpoint of another kind of device. */
int run_check_device(const rv_checkpoint *checkpoint, const char *device);

/* SHA-256 over the last checkpoint, `more` (NULL: nothing) and the metrics without times. */
int run_state_hash(const run_folder *run, const history *history, const char *more, char text[65]);

/* Flushes events and writes summary.json; says where both are. */
int run_write_summary(const run_folder *run, tensorboard *events, void (*write)(FILE *file, const void *user),
                      const void *user);

/* The settings of a new one: the file's (NULL: none), then the arguments'. The list holds their texts. */
int run_take_settings(const option_schema *schema, const char *file, int argc, char **argv, option_list *list,
                      void *settings, option_origin *origins, option_extras *extras);

/* The settings of a run in a folder: from its config.yaml. The list holds their texts. */
int run_read_settings(run_folder *run, const char *folder, const option_schema *schema, option_list *list,
                      void *settings, option_origin *origins, option_extras *extras);

#endif

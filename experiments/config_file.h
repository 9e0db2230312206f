/* experiments/config_file.h: settings as YAML.
 *
 *     env:
 *       name: continuous_pendulum
 *     train:
 *       steps: 5e3                      # numbers as on the command line; 1e-4 is one
 *     model.vae_hidden: [128, 64]       # a dotted key means the same
 *
 * Read strictly: one document of maps, values and lists of values. A repeated key, an anchor, an alias, a tag, or a
 * second document is refused with file and line.
 */
#ifndef EXPERIMENTS_CONFIG_FILE_H
#define EXPERIMENTS_CONFIG_FILE_H

#include "experiments/options.h"

/* Adds the file's entries to the list; their origins hold `path`. Prints what is wrong; an exit code. */
int config_read_file(const char *path, option_list *list);
int config_read_stream(FILE *file, const char *path, option_list *list);

/* The settings in full, without the keys in `leave_out` (words, separated by spaces), with where each value came from
 * as a comment. `extras` go below the schema's prefix. */
void config_write(FILE *file, const option_schema *schema, const void *settings, const option_origin *origins,
                  const option_extras *extras, const char *leave_out);

/* Prints every key in which two settings differ, as "KEY: OLD before, NEW now", leaving out those in `passing`
 * (words, separated by spaces); returns how many. */
int config_print_differences(FILE *file, const option_schema *schema, const void *before,
                             const option_extras *extras_before, const void *now, const option_extras *extras_now,
                             const char *passing);

/* Whether a key is one of some words, separated by spaces. */
bool config_among(const char *words, const char *key);

#endif

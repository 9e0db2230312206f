/* experiments/figures_imagine.h: figures of what a model imagines, and the same numbers as tables. */
#ifndef EXPERIMENTS_FIGURES_IMAGINE_H
#define EXPERIMENTS_FIGURES_IMAGINE_H

#include "experiments/figures.h"
#include "experiments/imaginer.h"
#include "experiments/run_folder.h"

/* Trajectories from where real episodes begin: row i of the dream goes on behind the context of episode i. */
typedef struct imagined {
    const imaginer *im;
    const char *env;
    int64_t context;
    const episodes *real;
    const dream *dream;
} imagined;

/* RUN/plots/NAME.png and .svg; exit codes, having printed what is wrong. */
int figure_imagined_rewards(const char *folder, const imagined *what);      /* imagined_rewards */
int figure_imagined_actions(const char *folder, const imagined *what);      /* imagined_actions */
int figure_imagined_latents(const char *folder, const imagined *what);      /* imagined_latents */
int figure_imagined_observations(const char *folder, const imagined *what); /* imagined_observations */

/* RUN/imagined.csv: a line for every step of every trajectory, what it led to and by which action; step 0 is where it
 * began. */
int table_imagined(const run_folder *run, const imagined *what);

/* ---- open loop ------------------------------------------------------------------------------------------------- */

/* Of one episode, from dreams under its actions: their mean and where 90 % of them lie, of every dimension of the
 * observation and then of the reward, which has no row 0. What is not known is NaN. */
typedef struct open_loop {
    int64_t horizon, columns;          /* O + 1 */
    double *truth, *mean, *low, *high; /* [horizon + 1, columns]; row 0 is what the model saw last */
} open_loop;

/* Rows of the dream are `samples` for each episode. false: out of memory. */
bool open_loop_make(open_loop *out, const imagined *what, int64_t episode, int64_t samples);
void open_loop_free(open_loop *out);

/* RUN/open_loop.csv: a line for every step of every episode. */
int table_open_loop(const run_folder *run, const imagined *what, const open_loop *episodes, int64_t count);

/* Name of a dimension of the observation, of the reward behind the last, or of an action of a policy, which of choices
 * has one for each. */
const char *observation_name(const imaginer *im, int64_t dimension, char text[64]);
const char *action_name(const imaginer *im, int64_t dimension, char text[64]);

#endif

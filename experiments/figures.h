/* experiments/figures.h: the figures of a world model's run. */
#ifndef EXPERIMENTS_FIGURES_H
#define EXPERIMENTS_FIGURES_H

#include "experiments/plot.h"
#include "reverie/evaluate.h"

/* What training left behind: one row each time metrics were read. */
typedef struct history {
    int metric_count;
    const char *name[8];
    int64_t count, capacity;
    double *step;     /* [count] */
    double *value[8]; /* [count] each */
} history;

typedef struct figure_text {
    const char *env, *note;
    int64_t dimensions;
    const char *const *names; /* of the observation's dimensions */
} figure_text;

/* Each writes FOLDER/plots/NAME.png and .svg and returns an exit code, having printed what is wrong. */
int figure_losses(const char *folder, const figure_text *text, const history *history);
int figure_open_loop(const char *folder, const figure_text *text, const rv_evaluation *evaluation);
int figure_horizon(const char *folder, const figure_text *text, const rv_evaluation *evaluation);

/* latent [count, latent_size] of observation [count, dimensions]. */
int figure_latents(const char *folder, const figure_text *text, const float *latent, int64_t latent_size,
                   const float *observation, int64_t count);

#endif

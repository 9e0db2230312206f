/* experiments/figures.h: the figures of a world model's run. */
#ifndef EXPERIMENTS_FIGURES_H
#define EXPERIMENTS_FIGURES_H

#include "experiments/history.h"
#include "experiments/plot.h"
#include "reverie/evaluate.h"

typedef struct figure_text {
    const char *env, *note;
    int64_t dimensions;
    const char *const *names; /* of the observation's dimensions */
} figure_text;

/* Latents by their two largest principal components, and the observations they are of. */
typedef struct figure_points {
    int64_t count;
    double *x, *y;       /* [count] */
    double share[2];     /* of the variance along each */
    double *observation; /* [dimensions, count] */
} figure_points;

/* latent [count, latent_size] of observation [count, dimensions]; false: out of memory. */
bool figure_points_make(figure_points *points, const float *latent, int64_t latent_size, const float *observation,
                        int64_t dimensions, int64_t count);
void figure_points_free(figure_points *points);

/* Each writes FOLDER/plots/NAME.png and .svg and returns an exit code, having printed what is wrong. */
int figure_losses(const char *folder, const figure_text *text, const history *history);
int figure_open_loop(const char *folder, const char *name, const figure_text *text, const rv_evaluation *evaluation);
int figure_horizon(const char *folder, const figure_text *text, const rv_evaluation *evaluation);
int figure_latents(const char *folder, const figure_text *text, const figure_points *points);

#endif

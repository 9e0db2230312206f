/* experiments/imagine_run.h: `reverie imagine RUN` of every model that an imaginer knows. */
#ifndef EXPERIMENTS_IMAGINE_RUN_H
#define EXPERIMENTS_IMAGINE_RUN_H

#include "experiments/imaginer.h"
#include "experiments/options.h"
#include "experiments/run_folder.h"

typedef struct imagine_settings {
    int64_t trajectories, horizon, context, rollouts, samples, seed;
    bool csv;
    const char *device;
} imagine_settings;

extern const option_schema imagine_schema;

/* An opened run, and real episodes: imagine_rows of them, of context + horizon steps. That is one step more than is
 * imagined: where the last one leads to is then known. */
typedef struct imagine_job {
    const run_folder *folder;
    const char *env_name;
    const imaginer *im;
    const episodes *real;
    int64_t context;
    uint64_t seed; /* of the draws */
    const imagine_settings *settings;
} imagine_job;

int64_t imagine_rows(const imagine_settings *settings);

/* Draws every figure, and writes the tables where they are asked for. Prints what is wrong; an exit code. */
int imagine_draw(const imagine_job *run);

#endif

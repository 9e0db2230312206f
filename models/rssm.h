/* models/rssm.h: parts of a step, for the files of models/. */
#ifndef RV_MODELS_RSSM_H
#define RV_MODELS_RSSM_H

#include <stdbool.h>

#include "reverie/rssm.h"

/* What the core makes of actions [B, A] by themselves: nothing of it depends on the step before. */
rv_tensor rv_rssm_action_input(rv_graph *graph, const rv_rssm *rssm, rv_tensor action);

/* The next h. */
rv_tensor rv_rssm_core(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state state, rv_tensor action_input);

#endif

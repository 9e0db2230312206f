/* agents/network.h: the layers that actors and critics are made of. */
#ifndef RV_AGENTS_NETWORK_H
#define RV_AGENTS_NETWORK_H

#include "reverie/dense.h"

/* Zero means default throughout: 3 hidden layers of 64, SiLU. */
void rv_network_defaults(rv_sizes *hidden, rv_activation *activation);

/* Adds "name/0" …: dense layers, each with its activation, with RMSNorm before it unless `plain`. No last layer. */
rv_mlp rv_network_add(rv_params *params, const char *name, int64_t inputs, rv_sizes hidden, rv_activation activation,
                      int plain);

/* A last layer "name/last" behind them, without activation. */
rv_layer rv_network_add_head(rv_params *params, const char *name, const char *last, rv_sizes hidden, int64_t outputs,
                             float outscale);

#endif

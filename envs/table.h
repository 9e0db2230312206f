/* envs/table.h: the environments that are built in, one file each. */
#ifndef RV_ENVS_TABLE_H
#define RV_ENVS_TABLE_H

#include "reverie/env.h"

extern const rv_env_table rv_env_continuous_cartpole;

#endif

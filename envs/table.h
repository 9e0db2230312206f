/* envs/table.h: the environments that are built in. */
#ifndef RV_ENVS_TABLE_H
#define RV_ENVS_TABLE_H

#include "reverie/env.h"

extern const rv_env_table rv_env_continuous_cartpole, rv_env_continuous_pendulum, rv_env_cartpole;
extern const rv_env_table rv_env_dmc_cartpole_balance, rv_env_dmc_cartpole_balance_sparse;
extern const rv_env_table rv_env_dmc_cartpole_swingup, rv_env_dmc_cartpole_swingup_sparse;
extern const rv_env_table rv_env_dmc_pendulum_swingup, rv_env_sequence;

#endif

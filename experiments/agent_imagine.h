/* experiments/agent_imagine.h: `reverie imagine RUN` of agents. */
#ifndef EXPERIMENTS_AGENT_IMAGINE_H
#define EXPERIMENTS_AGENT_IMAGINE_H

#include "experiments/agent_job.h"

int agent_imagine(const agent_kind *kind, const char *folder, int argc, char **argv);
void agent_imagine_help(void);

#endif

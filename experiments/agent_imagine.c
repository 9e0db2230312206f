/* experiments/agent_imagine.c: `reverie imagine RUN` of an agent: its policy acts, for real and in imagination. */
#include "experiments/agent_imagine.h"

#include <stdio.h>

#include "experiments/imagine_run.h"
#include "experiments/program.h"

void agent_imagine_help(void) {
    puts("\nOf an agent: acts new episodes with the policy, drawn actions. From where they begin the model\n"
         "imagines on, the policy acting: RUN/plots/imagined_{rewards,actions,latents,observations}. And it predicts\n"
         "what comes under the actions that were really taken: RUN/plots/imagine_*. Of a model with a memory (rssm):\n"
         "the same, but under actions of the policy of evaluation.\n\nOptions");
    options_print(&imagine_schema, stdout);
}

static imaginer imaginer_of(const agent_job *job) {
    return rv_dreamer_model(job->agent) ? dreamer_imaginer(job->agent, &job->spaces)
                                        : dreamer_v3_imaginer(job->agent, &job->spaces);
}

static int imagine(agent_job *job, const imagine_settings *s) {
    const imaginer im = imaginer_of(job);
    episodes real = {0};
    rv_env *env = NULL;
    const imagine_job run = {.folder = &job->run,
                             .env_name = job->settings.env.name,
                             .im = &im,
                             .real = &real,
                             .context = s->context ? s->context : im.context,
                             .seed = (uint64_t)job->settings.seed + ((uint64_t)(s->seed + 1) << 32),
                             .settings = s};
    int code = environment_make(&job->settings.env, &job->env_options, imagine_rows(s), &env);
    if (code == EXIT_OK) code = imaginer_act(&im, env, run.context + s->horizon, run.seed, &real);
    if (code == EXIT_OK) code = imagine_draw(&run);
    episodes_free(&real);
    rv_env_destroy(env);
    return code;
}

int agent_imagine(const agent_kind *kind, const char *folder, int argc, char **argv) {
    agent_job job = {.kind = kind};
    imagine_settings settings = {0};
    option_list words = {0};
    int code = options_read(&imagine_schema, &settings, argc, argv, &words);
    if (code == EXIT_OK) code = agent_open_run(&job, folder, settings.device);
    if (code == EXIT_OK) code = imagine(&job, &settings);
    agent_job_release(&job);
    options_list_free(&words);
    return code;
}

/* experiments/environment.c */
#include "experiments/environment.h"

#include <stdio.h>
#include <string.h>

#include "experiments/program.h"
#include "reverie/wrappers.h"

/* Where the first of the environment's options that alone is refused was written. */
static option_origin origin_of_mistake(const char *name, const option_extras *extras) {
    for (int i = 0; i < extras->count; i++) {
        rv_env *env;
        rv_env_setting setting = {extras->name[i], extras->value[i]};
        rv_status status = rv_env_create(name, 1, &setting, 1, &env);
        rv_env_destroy(env);
        if (status != RV_OK) return extras->origin[i];
    }
    return (option_origin){0};
}

/* Writes down the standard values of the environment's options too. */
static void complete(option_extras *extras, const rv_env_table *table) {
    for (int o = 0; o < table->option_count && extras->count < OPTION_EXTRAS; o++) {
        int i = 0;
        while (i < extras->count && strcmp(extras->name[i], table->options[o].name) != 0) i++;
        if (i < extras->count) continue;
        extras->name[i] = table->options[o].name;
        extras->value[i] = table->options[o].standard;
        extras->origin[i] = (option_origin){0};
        extras->count++;
    }
}

static rv_status wrap(const environment_settings *s, rv_env **env) {
    rv_status status = RV_OK;
    if (s->action_repeat > 1) status = rv_env_wrap_action_repeat(env, s->action_repeat);
    if (status == RV_OK && s->time_limit > 0) status = rv_env_wrap_time_limit(env, s->time_limit);
    if (status == RV_OK && s->reward_scale != 1.0) status = rv_env_wrap_reward_scale(env, s->reward_scale);
    if (status == RV_OK && s->frame_stack > 1) status = rv_env_wrap_frame_stack(env, s->frame_stack);
    return status;
}

int environment_make(const environment_settings *s, option_extras *extras, int64_t count, rv_env **env) {
    rv_env_setting settings[OPTION_EXTRAS];
    char where[1200] = "";
    for (int i = 0; i < extras->count; i++) settings[i] = (rv_env_setting){extras->name[i], extras->value[i]};
    rv_status status = rv_env_create(s->name, count, settings, extras->count, env);
    if (status == RV_OK) {
        complete(extras, rv_env_table_of(*env));
        status = wrap(s, env);
        if (status == RV_OK) return EXIT_OK;
    } else {
        option_origin origin = origin_of_mistake(s->name, extras);
        options_where(&origin, where, sizeof where);
    }
    return program_fail(program_code(status), "%s%s", where, *env ? rv_env_message(*env) : "out of memory");
}

void environment_print_all(void) {
    const rv_env_table *list[64];
    int count = rv_env_list(list, 64);
    puts("\nEnvironments and their options");
    for (int i = 0; i < count && i < 64; i++) {
        printf("  %s: %s\n", list[i]->name, list[i]->text);
        for (int o = 0; o < list[i]->option_count; o++) {
            const rv_env_option *option = &list[i]->options[o];
            printf("    --env.%-20s %s [%g, %g to %g]\n", option->name, option->text, option->standard, option->low,
                   option->high);
        }
    }
}

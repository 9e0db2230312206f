/* reverie/plugin.h: an environment of your own in a file of its own.
 *
 *     rv_env_plugin *plugin;
 *     rv_env *env;
 *     rv_env_plugin_open("./corridor.so", &plugin);
 *     rv_env_create_from(rv_env_plugin_table(plugin), 16, NULL, 0, &env);
 *     rv_env_destroy(env);
 *     rv_env_plugin_close(plugin);                             // last
 *
 * A plugin is a shared object that exports its table under the name rv_env_exported:
 *
 *         RV_API const rv_env_table rv_env_exported = {.abi = RV_ENV_ABI, ...};
 *
 * (in C++ within extern "C"). It needs this library's headers and nothing to link. examples/plugin/corridor.c is one.
 * rv_env_create opens a plugin by itself when its name holds a '/', and closes it with the environment.
 * `reverie env-check FILE.so` tries whether a plugin keeps the contract of rv_env_table.
 */
#ifndef REVERIE_PLUGIN_H
#define REVERIE_PLUGIN_H

#include "reverie/env.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_env_plugin rv_env_plugin;

/* Loads a plugin: code that then runs with all of the caller's rights. So the path must name a file (it holds a '/':
 * nothing is searched for, the current directory neither), not a symbolic link, which belongs, as its folder does, to
 * the user or to root, and which nobody else may write. The ABI number is compared before anything in it is called.
 * On failure *plugin still is an object that holds the message and must be closed.
 * Errors: INVALID_ARGUMENT (a path without '/'), NOT_FOUND, IO_FAILED (it cannot be opened, or others may write it),
 * BAD_FILE (no shared object, no table in it, a table of another ABI), OUT_OF_MEMORY. */
RV_API rv_status rv_env_plugin_open(const char *path, rv_env_plugin **plugin);

/* NULL is fine. Environments made from it must be gone. */
RV_API void rv_env_plugin_close(rv_env_plugin *plugin);

RV_API const char *rv_env_plugin_message(const rv_env_plugin *plugin);

/* The table, valid until the plugin is closed; NULL where opening failed. */
RV_API const rv_env_table *rv_env_plugin_table(const rv_env_plugin *plugin);

#ifdef __cplusplus
}
#endif
#endif

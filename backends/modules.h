/* backends/modules.h: backends that live in shared objects of their own.
 *
 * A module is REVERIE-BACKENDS/NAME.so beside the library itself, wherever that is; no variable and no current folder
 * leads elsewhere. It stays loaded until the process ends. */
#ifndef RV_BACKENDS_MODULES_H
#define RV_BACKENDS_MODULES_H

#include "core/backend.h"

/* The folder that modules are looked for in, without a slash at its end. Errors: NO_DRIVER. */
rv_status rv_module_folder(char *folder, size_t size, rv_error *error);

/* Loads `name` from that file; `needs` says what it takes to run it.
 * Errors: NO_DRIVER (no such file, or libraries that it needs are missing), IO_FAILED (a file that others may write),
 * BAD_FILE (no module, or one of another version). */
rv_status rv_module_load(const char *path, const char *name, const char *needs, const rv_backend **backend, rv_error *error);

/* Both: the module of this name in its folder. */
rv_status rv_module_find(const char *name, const char *needs, const rv_backend **backend, rv_error *error);

#endif

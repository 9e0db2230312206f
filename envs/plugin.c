/* envs/plugin.c: environments from shared objects. What is checked is what is loaded: the open file itself. */
#include "reverie/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct rv_env_plugin {
    int file; /* open as long as the code is loaded: the loader knows it by this number */
    void *handle;
    const rv_env_table *table;
    char message[512];
};

static rv_status fail(rv_env_plugin *plugin, rv_status status, const char *format, ...) RV_PRINTF(3, 4);
static rv_status fail(rv_env_plugin *plugin, rv_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(plugin->message, sizeof plugin->message, format, arguments);
    va_end(arguments);
    return status;
}

/* Only root and the user may have written it. */
static rv_status check_owner(rv_env_plugin *plugin, const char *what, const char *path, const struct stat *info, const char *remedy) {
    if (info->st_uid != 0 && info->st_uid != geteuid()) {
        return fail(plugin, RV_IO_FAILED, "%s %.200s belongs to another user (%ld): not loaded", what, path, (long)info->st_uid);
    }
    if (info->st_mode & (S_IWGRP | S_IWOTH)) {
        return fail(plugin, RV_IO_FAILED, "%s %.200s may be written by others: not loaded; chmod go-w %s", what, path, remedy);
    }
    return RV_OK;
}

static rv_status check_folder(rv_env_plugin *plugin, const char *path) {
    char folder[4096];
    struct stat info;
    snprintf(folder, sizeof folder, "%s", path);
    char *last = strrchr(folder, '/');
    last[last == folder] = '\0';
    if (stat(folder, &info) != 0) return fail(plugin, RV_IO_FAILED, "the folder of %.200s: %s", path, strerror(errno));
    /* where the sticky bit is set, as in /tmp, nobody can put another file in this one's place */
    if (info.st_mode & S_ISVTX) return RV_OK;
    return check_owner(plugin, "the folder", folder, &info, "it");
}

static rv_status open_file(rv_env_plugin *plugin, const char *path) {
    struct stat info;
    if (!path || !strchr(path, '/')) {
        return fail(plugin, RV_INVALID_ARGUMENT, "\"%.200s\" is no path: a plugin in the current folder is ./%.200s", path ? path : "", path ? path : "");
    }
    if (strlen(path) >= 4096) return fail(plugin, RV_INVALID_ARGUMENT, "the path of the plugin is too long");
    plugin->file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (plugin->file < 0) {
        const int code = errno;
        if (code == ELOOP) return fail(plugin, RV_IO_FAILED, "%.200s is a symbolic link: name the file itself", path);
        return fail(plugin, code == ENOENT ? RV_NOT_FOUND : RV_IO_FAILED, "%.200s: %s", path, strerror(code));
    }
    if (fstat(plugin->file, &info) != 0) return fail(plugin, RV_IO_FAILED, "%.200s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return fail(plugin, RV_BAD_FILE, "%.200s is no file", path);
    rv_status status = check_owner(plugin, "the plugin", path, &info, "it");
    return status == RV_OK ? check_folder(plugin, path) : status;
}

static rv_status load(rv_env_plugin *plugin, const char *path) {
#if defined(__linux__)
    char opened[64];
    snprintf(opened, sizeof opened, "/proc/self/fd/%d", plugin->file);
#else
    const char *opened = path;
#endif
    plugin->handle = dlopen(opened, RTLD_NOW | RTLD_LOCAL);
    if (!plugin->handle) {
        const char *why = dlerror(), *colon = why ? strstr(why, ": ") : NULL;
        return fail(plugin, RV_BAD_FILE, "%.200s cannot be loaded: %s", path, colon ? colon + 2 : why ? why : "unknown");
    }
    const rv_env_table *table = dlsym(plugin->handle, "rv_env_exported");
    if (!table) return fail(plugin, RV_BAD_FILE, "%.200s exports no rv_env_exported: it is no environment", path);
    if (table->abi != RV_ENV_ABI || table->size < sizeof *table) {
        return fail(plugin, RV_BAD_FILE, "%.200s is of ABI %u, size %u; this library knows ABI %d, size %zu: build it anew", path,
                    table->abi, table->size, RV_ENV_ABI, sizeof *table);
    }
    plugin->table = table;
    return RV_OK;
}

rv_status rv_env_plugin_open(const char *path, rv_env_plugin **plugin) {
    if (!plugin) return RV_INVALID_ARGUMENT;
    *plugin = calloc(1, sizeof **plugin);
    if (!*plugin) return RV_OUT_OF_MEMORY;
    (*plugin)->file = -1;
    rv_status status = open_file(*plugin, path);
    return status == RV_OK ? load(*plugin, path) : status;
}

void rv_env_plugin_close(rv_env_plugin *plugin) {
    if (!plugin) return;
    if (plugin->handle) dlclose(plugin->handle);
    if (plugin->file >= 0) close(plugin->file);
    free(plugin);
}

const char *rv_env_plugin_message(const rv_env_plugin *plugin) { return plugin ? plugin->message : "out of memory"; }
const rv_env_table *rv_env_plugin_table(const rv_env_plugin *plugin) { return plugin ? plugin->table : NULL; }

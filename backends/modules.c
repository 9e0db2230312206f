/* backends/modules.c: finding, judging and loading modules. */
#define _GNU_SOURCE
#include "backends/modules.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/list.h"

/* ---- where ----------------------------------------------------------------------------------------- */

/* Whether this code is part of the program itself: the loader then knows no path but what the caller made up. */
static bool in_program(const Dl_info *here) {
    Dl_info program;
    void *headers = (void *)getauxval(AT_PHDR);
    return headers && dladdr(headers, &program) && program.dli_fbase == here->dli_fbase;
}

rv_status rv_module_folder(char *folder, size_t size, rv_error *error) {
    Dl_info here;
    char path[PATH_MAX];
    if (!dladdr((const void *)&rv_backend_cpu, &here) || !here.dli_fname) {
        return rv_fail(error, RV_NO_DRIVER, "the loader does not say where reverie lies, and so where its modules are");
    }
    const char *file = in_program(&here) ? "/proc/self/exe" : here.dli_fname;
    if (*file != '/') {
        return rv_fail(error, RV_NO_DRIVER, "reverie was loaded by the relative path \"%.200s\": its modules are looked for only beside "
                                            "a library with an absolute one", file);
    }
    if (!realpath(file, path)) return rv_fail(error, RV_NO_DRIVER, "where reverie lies, %.200s: %s", file, strerror(errno));
    *strrchr(path, '/') = 0;
    if ((size_t)snprintf(folder, size, "%s/%s", path, RV_BACKEND_FOLDER) >= size) {
        return rv_fail(error, RV_NO_DRIVER, "the path of reverie's modules, %.200s..., is too long", path);
    }
    return RV_OK;
}

/* ---- whether ----------------------------------------------------------------------------------------- */

/* Only root and the user may have written it. */
static rv_status check_file(const char *path, const char *name, rv_error *error) {
    struct stat info;
    if (stat(path, &info) != 0) {
        return rv_fail(error, RV_NO_DRIVER, "%s: its module %.300s: %s; install reverie's %s module", name, path, strerror(errno), name);
    }
    if (!S_ISREG(info.st_mode)) return rv_fail(error, RV_BAD_FILE, "%s: its module %.300s is no file", name, path);
    if (info.st_uid != 0 && info.st_uid != geteuid()) {
        return rv_fail(error, RV_IO_FAILED, "%s: its module %.300s belongs to another user (%ld): not loaded", name, path,
                       (long)info.st_uid);
    }
    if (info.st_mode & (S_IWGRP | S_IWOTH)) {
        return rv_fail(error, RV_IO_FAILED, "%s: its module %.300s may be written by others: not loaded; chmod go-w it", name, path);
    }
    return RV_OK;
}

static rv_status check_table(const rv_backend *table, const char *path, const char *name, rv_error *error) {
    if (!table) {
        return rv_fail(error, RV_BAD_FILE, "%s: %.300s exports no %s: it is no module of reverie", name, path, RV_MODULE_SYMBOL);
    }
    if (table->abi != RV_BACKEND_ABI || table->size != sizeof *table) {
        return rv_fail(error, RV_BAD_FILE, "%s: %.300s is of ABI %u, size %u; this library knows ABI %d, size %zu: build it anew",
                       name, path, table->abi, table->size, RV_BACKEND_ABI, sizeof *table);
    }
    if (strcmp(table->name, name) != 0 || !table->list) {
        return rv_fail(error, RV_BAD_FILE, "%s: %.300s holds the backend \"%.40s\"%s", name, path, table->name,
                       table->list ? "" : ", which lists no devices");
    }
    return RV_OK;
}

rv_status rv_module_load(const char *path, const char *name, const char *needs, const rv_backend **backend, rv_error *error) {
    *backend = NULL;
    rv_status status = check_file(path, name, error);
    if (status != RV_OK) return status;
    /* tables, threads and drivers of a module outlive every device: it is never taken out again */
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!module) {
        const char *why = dlerror();
        return rv_fail(error, RV_NO_DRIVER, "%s: its module does not load: %.250s; %s", name, why ? why : "no reason given", needs);
    }
    const rv_backend *table = dlsym(module, RV_MODULE_SYMBOL);
    status = check_table(table, path, name, error);
    if (status == RV_OK) *backend = table;
    dlclose(module);
    return status;
}

rv_status rv_module_find(const char *name, const char *needs, const rv_backend **backend, rv_error *error) {
    char folder[PATH_MAX], path[PATH_MAX + 64];
    *backend = NULL;
    rv_status status = rv_module_folder(folder, sizeof folder, error);
    if (status != RV_OK) return status;
    snprintf(path, sizeof path, "%s/%.40s.so", folder, name);
    return rv_module_load(path, name, needs, backend, error);
}

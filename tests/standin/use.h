/* tests/standin/use.h: for tests that run on the stand-in: its controls, found where the loader finds the libraries. */
#ifndef RV_TESTS_STANDIN_USE_H
#define RV_TESTS_STANDIN_USE_H

#include <dlfcn.h>
#include <stdio.h>

#include "tests/standin/standin.h"
#include "tests/support/suite.h"

static const standin_control *control;
static standin_compiler *compiler;
static rv_cuda_driver driver;

static void *standin_symbol(const char *library, const char *name) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle ? dlsym(handle, name) : NULL;
    if (!symbol) printf("%s is not the stand-in: run this by ctest, or with build/standin in LD_LIBRARY_PATH\n", library);
    return symbol;
}

/* False: these libraries are others, or there are none. */
static inline bool standin_find(void) {
    static const rv_services services = {.size = sizeof services, .fail = rv_fail};
    rv_error error;
    control = standin_symbol("libcuda.so.1", "standin");
    compiler = standin_symbol("libnvrtc.so.13", "standin_nvrtc");
    return control && compiler && rv_cuda_load_driver(&services, &driver, &error) == RV_OK;
}

/* Before and after each test: nothing planned; nothing left. */
static inline int standin_fresh(void **unused) {
    (void)unused;
    control->reset();
    compiler->refuse = false;
    return 0;
}

static inline int standin_clean(void **unused) {
    (void)unused;
    if (control->live() == 0 && control->depth() == 0) return 0;
    print_error("%d objects and %d contexts are left\n", (int)control->live(), control->depth());
    return 1;
}

#define standin_test(function) cmocka_unit_test_setup_teardown(function, standin_fresh, standin_clean)

#endif

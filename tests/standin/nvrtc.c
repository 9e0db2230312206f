/* tests/standin/nvrtc.c: "compiles" kernel text with the host's C++ compiler; see standin.h. The image is a head and a
 * shared object with the kernels, each with a description of its arguments. STANDIN_CXX and STANDIN_PRELUDE are given
 * by the build.
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/standin/standin.h"

#define DECLARE(name, arguments) STANDIN_API unsigned name arguments;
RV_NVRTC_LIST(DECLARE)

standin_compiler standin_nvrtc;

enum { NVRTC_SUCCESS, NVRTC_OUT_OF_MEMORY, NVRTC_INVALID_INPUT = 3, NVRTC_INVALID_OPTION = 5 };

struct _nvrtcProgram {
    char *text, *log, *image;
    const char *optimise;
    size_t image_bytes;
    char folder[64];
};

static const int archs[] = {75, 80, 86, 89, 90, 100, 120};
enum { ARCHS = sizeof archs / sizeof *archs };

unsigned nvrtcVersion(int *major, int *minor) {
    *major = 13;
    *minor = 0;
    return NVRTC_SUCCESS;
}

unsigned nvrtcGetNumSupportedArchs(int *count) {
    *count = ARCHS;
    return NVRTC_SUCCESS;
}

unsigned nvrtcGetSupportedArchs(int *list) {
    memcpy(list, archs, sizeof archs);
    return NVRTC_SUCCESS;
}

unsigned nvrtcCreateProgram(nvrtcProgram *program, const char *text, const char *name, int headers, const char *const *header,
                            const char *const *include_name) {
    (void)header, (void)include_name;
    if (headers) return NVRTC_INVALID_INPUT;
    *program = calloc(1, sizeof **program);
    if (!*program) return NVRTC_OUT_OF_MEMORY;
    (*program)->text = strdup(text);
    /* a family's kernels run often; those of one plan a few times, and building them is what takes long */
    (*program)->optimise = strncmp(name, "family", 6) == 0 ? "-O1" : "-O0";
    return NVRTC_SUCCESS;
}

unsigned nvrtcDestroyProgram(nvrtcProgram *program) {
    free((*program)->text);
    free((*program)->log);
    free((*program)->image);
    free(*program);
    *program = NULL;
    return NVRTC_SUCCESS;
}

/* ---- files ------------------------------------------------------------------------------------------------- */

static void path_of(nvrtcProgram program, const char *name, char path[128]) { snprintf(path, 128, "%s/%s", program->folder, name); }

static char *read_file(nvrtcProgram program, const char *name, size_t *bytes) {
    char path[128];
    path_of(program, name, path);
    FILE *file = fopen(path, "rb");
    *bytes = 0;
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    const long length = ftell(file);
    rewind(file);
    char *text = length >= 0 ? calloc(1, (size_t)length + 1) : NULL;
    if (text) *bytes = fread(text, 1, (size_t)length, file);
    fclose(file);
    return text;
}

static FILE *write_file(nvrtcProgram program, const char *name, const char *text) {
    char path[128];
    path_of(program, name, path);
    FILE *file = fopen(path, "wb");
    if (file) fputs(text, file);
    return file;
}

extern char **environ;

/* In the program's folder, with what it says in the file "log". */
static bool run(nvrtcProgram program, char *const *arguments) {
    char log[128];
    path_of(program, "log", log);
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = 1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_addchdir_np(&actions, program->folder);
    const bool started = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    return started && waitpid(child, &status, 0) == child && status == 0;
}

/* ---- compiling ------------------------------------------------------------------------------------------------ */

/* What __global__ becomes: prelude.h */
static const char mark[] = "__attribute__((used, visibility(\"default\")))";

/* Behind the preprocessed text: a description of every kernel, so that the driver can copy its arguments. */
static bool describe_kernels(nvrtcProgram program) {
    size_t bytes;
    char *text = read_file(program, "kernel.ii", &bytes);
    FILE *file = text ? write_file(program, "described.ii", text) : NULL;
    for (char *at = text; file && (at = strstr(at, mark));) {
        at += sizeof mark - 1;
        const char *end = at + strcspn(at, "({;"), *name;
        if (*end != '(') continue;
        while (end > at && end[-1] == ' ') end--;
        for (name = end; name > at && (name[-1] == '_' || (name[-1] >= '0' && name[-1] <= '9') || ((name[-1] | 32) >= 'a' && (name[-1] | 32) <= 'z'));) name--;
        fprintf(file, "\nSTANDIN_DESCRIPTION(%.*s)", (int)(end - name), name);
    }
    free(text);
    return file && fclose(file) == 0;
}

/* -include again would define everything twice: the description's macro alone. */
static char description[] = "-DSTANDIN_DESCRIPTION(name)=extern \"C\" __attribute__((used, visibility(\"default\"))) "
                            "const standin::kernel standin_kernel_##name = {standin::call<name>, standin::arguments<name>::count, "
                            "standin::arguments<name>::bytes};";

static bool build(nvrtcProgram program) {
    char *const preprocess[] = {STANDIN_CXX, "-std=c++17", "-E", "-include", STANDIN_PRELUDE, "kernel.cpp", "-o", "kernel.ii", NULL};
    char *const translate[] = {STANDIN_CXX, "-std=c++17", "-x", "c++", (char *)program->optimise, "-w", "-shared", "-fPIC", "-ffp-contract=off",
                               "-fno-math-errno", "-fno-trapping-math", "-fno-strict-aliasing", "-fvisibility=hidden",
                               "-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables", description, "described.ii",
                               "-o", "kernel.so", "-nostdlib", "-lm", "-lc", NULL};
    FILE *file = write_file(program, "kernel.cpp", program->text);
    if (file && standin_nvrtc.refuse) fputs("\n#error asked for by a test\n", file);
    if (!file || fclose(file) != 0) return false;
    return run(program, preprocess) && describe_kernels(program) && run(program, translate);
}

static bool take_image(nvrtcProgram program) {
    static const char magic[8] = "standin";
    size_t bytes;
    char *object = read_file(program, "kernel.so", &bytes);
    if (!object) return false;
    const uint64_t length = bytes;
    program->image_bytes = sizeof magic + sizeof length + bytes;
    program->image = malloc(program->image_bytes);
    if (program->image) {
        memcpy(program->image, magic, sizeof magic);
        memcpy(program->image + sizeof magic, &length, sizeof length);
        memcpy(program->image + sizeof magic + sizeof length, object, bytes);
    }
    free(object);
    return program->image != NULL;
}

static void remove_files(nvrtcProgram program) {
    static const char *const files[] = {"kernel.cpp", "kernel.ii", "described.ii", "kernel.so", "log"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[128];
        path_of(program, files[i], path);
        unlink(path);
    }
    rmdir(program->folder);
}

/* The flags that results depend on must be there. */
static bool options_are_good(int count, const char *const *option) {
    static const char *const wanted[] = {"--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true", "--gpu-architecture="};
    size_t found = 0;
    for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
        for (int i = 0; i < count; i++) found += strncmp(option[i], wanted[w], strlen(wanted[w])) == 0;
    }
    for (int i = 0; i < count; i++) found -= strstr(option[i], "fast") != NULL;
    return found == sizeof wanted / sizeof *wanted;
}

unsigned nvrtcCompileProgram(nvrtcProgram program, int count, const char *const *option) {
    size_t bytes;
    standin_nvrtc.compiled++;
    if (!options_are_good(count, option)) return NVRTC_INVALID_OPTION;
    snprintf(program->folder, sizeof program->folder, "/tmp/standin-XXXXXX");
    if (!mkdtemp(program->folder)) return NVRTC_OUT_OF_MEMORY;
    const bool good = build(program) && take_image(program);
    program->log = read_file(program, "log", &bytes);
    remove_files(program);
    return good ? NVRTC_SUCCESS : RV_NVRTC_COMPILATION;
}

/* ---- what came of it ----------------------------------------------------------------------------------------------- */

unsigned nvrtcGetCUBINSize(nvrtcProgram program, size_t *bytes) {
    *bytes = program->image_bytes;
    return NVRTC_SUCCESS;
}

unsigned nvrtcGetCUBIN(nvrtcProgram program, char *cubin) {
    memcpy(cubin, program->image, program->image_bytes);
    return NVRTC_SUCCESS;
}

unsigned nvrtcGetPTXSize(nvrtcProgram program, size_t *bytes) { return nvrtcGetCUBINSize(program, bytes); }
unsigned nvrtcGetPTX(nvrtcProgram program, char *ptx) { return nvrtcGetCUBIN(program, ptx); }

unsigned nvrtcGetProgramLogSize(nvrtcProgram program, size_t *bytes) {
    *bytes = program->log ? strlen(program->log) + 1 : 1;
    return NVRTC_SUCCESS;
}

unsigned nvrtcGetProgramLog(nvrtcProgram program, char *log) {
    strcpy(log, program->log ? program->log : "");
    return NVRTC_SUCCESS;
}

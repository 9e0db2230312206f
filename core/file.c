/* core/file.c: whole files: written atomically, read at known places. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static rv_status failed(rv_error *error, const char *what, const char *path, int code) {
    char text[128] = "";
    if (strerror_r(code, text, sizeof text) != 0) snprintf(text, sizeof text, "error %d", code);
    return rv_fail(error, RV_IO_FAILED, "%s %.300s: %s", what, path, text);
}

/* ---- writing ---- */

/* Renaming over a device or a folder would destroy what it is. */
static rv_status check_target(const char *path, rv_error *error) {
    struct stat about;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) {
        return rv_fail(error, RV_IO_FAILED, "%.300s is there and no regular file; it stays as it is", path);
    }
    return RV_OK;
}

rv_status rv_file_begin(rv_file_writer *writer, rv_device *device, const char *path, rv_error *error) {
    static const char ending[] = ".tmp-XXXXXX";
    *writer = (rv_file_writer){.device = device, .error = error, .path = path, .descriptor = -1};
    rv_status status = check_target(path, error);
    if (status != RV_OK) return status;
    const size_t length = strlen(path);
    char *name = rv_alloc(device, length + sizeof ending, 1);
    if (!name) return rv_fail(error, RV_OUT_OF_MEMORY, "no memory for the name of a temporary file");
    memcpy(name, path, length);
    memcpy(name + length, ending, sizeof ending);
    writer->descriptor = mkstemp(name); /* exclusive, mode 0600 */
    if (writer->descriptor < 0) {
        const int code = errno;
        rv_free(device, name);
        return failed(error, "creating a file beside", path, code);
    }
    writer->temporary = name;
    fcntl(writer->descriptor, F_SETFD, FD_CLOEXEC);
    return RV_OK;
}

rv_status rv_file_write(rv_file_writer *writer, const void *bytes, size_t count) {
    const char *at = bytes;
    while (count > 0) {
        const ssize_t written = write(writer->descriptor, at, count);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return failed(writer->error, "writing", writer->temporary, written < 0 ? errno : EIO);
        at += written;
        count -= (size_t)written;
    }
    return RV_OK;
}

static int sync_descriptor(int descriptor) {
    int result;
    do result = fsync(descriptor);
    while (result != 0 && errno == EINTR);
    return result;
}

/* The rename lasts once the folder is on disk; some file systems cannot sync folders and say EINVAL. */
static rv_status sync_folder(rv_file_writer *writer) {
    char *folder = rv_copy_text(writer->device, writer->path);
    if (!folder) return rv_fail(writer->error, RV_OUT_OF_MEMORY, "no memory for the name of a folder");
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = 0;
    const int descriptor = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rv_free(writer->device, folder);
    int code = 0;
    if (descriptor < 0) code = errno;
    else if (sync_descriptor(descriptor) != 0 && errno != EINVAL && errno != ENOTSUP) code = errno;
    rv_file_close(descriptor);
    if (code == 0) return RV_OK;
    return failed(writer->error, "the new file is in place, but could not sync the folder of", writer->path, code);
}

rv_status rv_file_finish(rv_file_writer *writer) {
    if (sync_descriptor(writer->descriptor) != 0) return failed(writer->error, "syncing", writer->temporary, errno);
    const int descriptor = writer->descriptor;
    writer->descriptor = -1;
    if (close(descriptor) != 0 && errno != EINTR) return failed(writer->error, "closing", writer->temporary, errno);
    if (rename(writer->temporary, writer->path) != 0) return failed(writer->error, "renaming to", writer->path, errno);
    rv_free(writer->device, writer->temporary);
    writer->temporary = NULL;
    return sync_folder(writer);
}

void rv_file_end(rv_file_writer *writer) {
    rv_file_close(writer->descriptor);
    if (writer->temporary) unlink(writer->temporary);
    rv_free(writer->device, writer->temporary);
    *writer = (rv_file_writer){.descriptor = -1};
}

/* ---- reading ---- */

rv_status rv_file_open(const char *path, int *descriptor, uint64_t *bytes, rv_error *error) {
    *descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*descriptor < 0) return failed(error, "opening", path, errno);
    struct stat about;
    rv_status status = RV_OK;
    if (fstat(*descriptor, &about) != 0) status = failed(error, "asking about", path, errno);
    else if (!S_ISREG(about.st_mode)) status = rv_fail(error, RV_IO_FAILED, "%.300s is no regular file", path);
    if (status != RV_OK) {
        rv_file_close(*descriptor);
        *descriptor = -1;
        return status;
    }
    *bytes = (uint64_t)about.st_size;
    return RV_OK;
}

rv_status rv_file_read(int descriptor, const char *path, uint64_t offset, void *bytes, size_t count, rv_error *error) {
    char *at = bytes;
    while (count > 0) {
        const ssize_t got = pread(descriptor, at, count, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed(error, "reading", path, errno);
        if (got == 0) return rv_fail(error, RV_IO_FAILED, "%.300s became shorter while it was read", path);
        at += got;
        offset += (uint64_t)got;
        count -= (size_t)got;
    }
    return RV_OK;
}

void rv_file_close(int descriptor) {
    if (descriptor >= 0) close(descriptor);
}

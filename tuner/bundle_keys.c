/* bundle_keys.c - who signs: a pair of files. */
#include "../runtime/signature.h"
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* 0: written, whole and only now. */
static int write_new(const char *path, mode_t mode, const char *line)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int failed = fd < 0 || dprintf(fd, "%s\n", line) < 0 || fsync(fd);

    if (fd >= 0 && close(fd))
        failed = 1;
    return failed;
}

gdr_status gdr_bundle_keygen(const char *name, char *msg, size_t n)
{
    char key[GDR_KEY_TEXT], secret[GDR_SECRET_TEXT], path[4096];
    gdr_status status = gdr_key_make(key, secret);

    if (!*name || name[strlen(name) - 1] == '/') {
        snprintf(msg, n, "keygen '%s': a name for the files is needed", name);
        return GDR_ERR_ARG;
    }
    if (status != GDR_OK) {
        snprintf(msg, n, "the system gives no random numbers");
        return status;
    }
    for (int is_public = 0; is_public < 2 && status == GDR_OK; is_public++) {
        snprintf(path, sizeof path, "%s.%s", name, is_public ? "pub" : "key");
        if (!write_new(path, is_public ? 0644 : 0600, is_public ? key : secret))
            continue;
        status = errno == EEXIST ? GDR_ERR_ARG : GDR_ERR_IO;
        snprintf(msg, n, "%s: %s", path, strerror(errno));
        if (is_public) { /* no half of a pair stays */
            snprintf(path, sizeof path, "%s.key", name);
            unlink(path);
        }
    }
    return status;
}

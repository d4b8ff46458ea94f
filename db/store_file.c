/*
 * store_file.c - the file and its folder, before SQLite sees them.
 */
#include "store_internal.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static gdr_status status_of(int error)
{
    switch (error) {
    case ENOENT:
        return GDR_ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
        return GDR_ERR_FULL;
    case EROFS:
    case EACCES:
    case EPERM:
        return GDR_ERR_READONLY;
    default:
        return GDR_ERR_IO;
    }
}

/* Makes the folders above the file, as mkdir -p does. */
static gdr_status make_folders(gdr_store *st)
{
    for (char *p = st->path + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        int failed = mkdir(st->path, 0755) && errno != EEXIST;
        int error = errno;
        *p = '/';
        if (failed)
            return gdr_store_fail(st, status_of(error),
                                  "cannot make the folder %.*s: %s; make "
                                  "it, " GDR_STORE_CHOOSE,
                                  (int)(p - st->path), st->path,
                                  strerror(error));
    }
    return GDR_OK;
}

/* The journal is made beside the file. */
gdr_status gdr_store_check_folder(gdr_store *st)
{
    char *slash = strrchr(st->path, '/'); /* name_file put one there */
    char kept = slash[1];
    slash[1] = 0;
    int failed = access(st->path, W_OK | X_OK);
    int error = errno;
    slash[1] = kept;
    if (failed)
        return gdr_store_fail(st, GDR_ERR_READONLY,
                              "its folder cannot be written: %s; change its "
                              "permissions, " GDR_STORE_CHOOSE,
                              strerror(error));
    return GDR_OK;
}

gdr_status gdr_store_check_file(gdr_store *st)
{
    struct stat sb;
    if (stat(st->path, &sb)) {
        if (errno == ENOENT && st->mode == GDR_STORE_WRITE)
            return make_folders(st);
        int error = errno;
        return gdr_store_fail(
            st, error == ENOENT ? GDR_ERR_NOT_FOUND : GDR_ERR_IO, "%s; %s",
            strerror(error),
            error == ENOENT ? "run gdr-tune to make it, " GDR_STORE_CHOOSE
                            : "check the folders above it, " GDR_STORE_CHOOSE);
    }
    if (!S_ISREG(sb.st_mode))
        return gdr_store_fail(st, GDR_ERR_IO,
                              "a %s, not a file; choose another with --db or "
                              "GDR_DB",
                              S_ISDIR(sb.st_mode)    ? "folder"
                              : S_ISFIFO(sb.st_mode) ? "pipe"
                                                     : "device");
    /* SQLite takes a file of one byte for an empty one */
    if (sb.st_size == 1)
        return gdr_store_fail_sql(st, SQLITE_NOTADB);
    if (sb.st_mode & S_IWOTH && st->mode != GDR_STORE_READ_SIGNED)
        return gdr_store_fail(st, GDR_ERR_UNSAFE,
                              "holds code and everybody may write to it; make "
                              "sure that it is yours, then chmod o-w it");
    return GDR_OK;
}

/*
 * path.c - where the database is. An empty variable counts as unset, and a
 * relative XDG_DATA_HOME as none, as the XDG base directory specification says.
 */
#include "store_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const system_paths[] = {"/usr/local/share/gdr/gdr.db",
                                           "/usr/share/gdr/gdr.db", NULL};

/* NULL when unset, empty, or not absolute where it must be. */
static const char *variable(const char *name, int absolute)
{
    const char *value = getenv(name);
    if (!value || !value[0] || (absolute && value[0] != '/'))
        return NULL;
    return value;
}

static const char *first_there(const char *const *paths)
{
    for (; *paths; paths++)
        if (access(*paths, F_OK) == 0)
            return *paths;
    return NULL;
}

static gdr_status put_path(const char *folder, const char *rest, char *out,
                           size_t n, char *msg, size_t msg_n)
{
    int length = snprintf(out, n, "%s%s", folder, rest);
    if (length >= 0 && (size_t)length < n)
        return GDR_OK;
    snprintf(msg, msg_n,
             "the path of the database is longer than %zu bytes: %s%s", n - 1,
             folder, rest);
    return GDR_ERR_ARG;
}

gdr_status gdr_store_path_in(const char *path, int write,
                             const char *const *system, char *out, size_t n,
                             char *msg, size_t msg_n)
{
    assert(out && n > 0 && (msg || msg_n == 0));
    out[0] = 0;
    if (path && !path[0]) {
        snprintf(msg, msg_n, "the name of the database is empty");
        return GDR_ERR_ARG;
    }
    if (!path)
        path = variable("GDR_DB", 0);
    if (path)
        return put_path(path, "", out, n, msg, msg_n);

    const char *data = variable("XDG_DATA_HOME", 1);
    const char *home = variable("HOME", 1);
    const char *there = write ? NULL : first_there(system);
    gdr_status status = GDR_ERR_NOT_FOUND;
    if (data)
        status = put_path(data, "/gdr/gdr.db", out, n, msg, msg_n);
    else if (home)
        status = put_path(home, "/.local/share/gdr/gdr.db", out, n, msg, msg_n);
    else if (!there)
        snprintf(msg, msg_n,
                 "HOME is not set, so there is no place for the database: "
                 "give one with --db FILE or GDR_DB=FILE");
    if (there && (status != GDR_OK || access(out, F_OK) != 0))
        return put_path(there, "", out, n, msg, msg_n);
    return status;
}

gdr_status gdr_store_path(const char *path, int write, char *out, size_t n,
                          char *msg, size_t msg_n)
{
    return gdr_store_path_in(path, write, system_paths, out, n, msg, msg_n);
}

/* find_nvrtc.c - one list of folders, one of file names, in order. */
#include "find_nvrtc.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The newest first, since it knows most cards. */
static const char *const files[] = {"libnvrtc.so.13", "libnvrtc.so.12",
                                    "libnvrtc.so"};
enum { FILES = sizeof files / sizeof *files };

/* pip unpacks to nvidia/cuda_nvrtc (12) or nvidia/cu13. */
static const char *const folders[] = {
    "$CUDA_HOME/lib64",
    "$CUDA_HOME/lib",
    "$CUDA_HOME/targets/*/lib",
    "",
    "/usr/local/cuda/lib64",
    "/usr/local/cuda/targets/*/lib",
    "/usr/local/cuda-*/lib64",
    "/usr/local/cuda-*/targets/*/lib",
    "/opt/cuda/lib64",
    "/opt/cuda/targets/*/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "$VIRTUAL_ENV/lib/python3*/site-packages/nvidia/*/lib",
    "$CONDA_PREFIX/lib",
    "$HOME/.local/lib/python3*/site-packages/nvidia/*/lib",
    "/usr/local/lib/python3*/*-packages/nvidia/*/lib",
    "/usr/lib/python3*/*-packages/nvidia/*/lib",
};

typedef struct search {
    gdr_nvrtc_place_fn fn;
    void *ctx;
    char *tried;
    size_t n, at;
} search;

static void note(search *s, const char *place)
{
    if (s->at < s->n)
        s->at += (size_t)snprintf(s->tried + s->at, s->n - s->at, "%s%s",
                                  s->at ? ", " : "", place);
}

/* The loader's path: whether a name is there only the loader knows. */
static int visit_loader(search *s)
{
    int enough = 0;

    note(s, "the loader's path");
    for (int i = 0; i < FILES && !enough; i++)
        enough = s->fn(s->ctx, files[i]);
    return enough;
}

static int visit_folder(search *s, const char *folder)
{
    char path[PATH_MAX];
    int enough = 0;

    for (int i = 0; i < FILES && !enough; i++) {
        int length = snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        if (length < (int)sizeof path && access(path, R_OK) == 0)
            enough = s->fn(s->ctx, path);
    }
    return enough;
}

static int visit_pattern(search *s, const char *pattern)
{
    glob_t found;
    int enough = 0;

    note(s, pattern);
    if (glob(pattern, 0, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc && !enough; i++)
        enough = visit_folder(s, found.gl_pathv[i]);
    globfree(&found);
    return enough;
}

/* Puts the environment's value for a leading $NAME. 0: it has none. */
static int expand(const char *folder, char *out, size_t n)
{
    char name[64];
    size_t length = strcspn(folder, "/");
    const char *value = "";

    if (*folder == '$') {
        snprintf(name, sizeof name, "%.*s", (int)length - 1, folder + 1);
        value = getenv(name);
        folder += length;
    }
    return value && (*value || !*folder || *folder == '/') &&
           snprintf(out, n, "%s%s", value, folder) < (int)n;
}

static int visit(search *s, const char *folder)
{
    char pattern[PATH_MAX];

    if (!*folder)
        return visit_loader(s);
    return expand(folder, pattern, sizeof pattern) && visit_pattern(s, pattern);
}

static int visit_all(search *s, const char *const *folder, size_t n)
{
    int enough = 0;

    for (size_t i = 0; i < n && !enough; i++)
        enough = visit(s, folder[i]);
    return enough;
}

/* What python itself says, last since it is slow: an environment that is
 * active only by $PATH is found so. */
static int visit_python(search *s)
{
    FILE *f = popen("python3 -c 'import sys; print(\"\\n\".join(sys.path))' "
                    "2>/dev/null",
                    "re");
    char line[PATH_MAX], pattern[PATH_MAX + 32];
    int enough = 0;

    while (f && !enough && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        snprintf(pattern, sizeof pattern, "%s/nvidia/*/lib", line);
        if (strstr(line, "-packages"))
            enough = visit_pattern(s, pattern);
    }
    if (f)
        pclose(f);
    return enough;
}

int gdr_nvrtc_each_in(const char *const *folder, size_t n_folders,
                      gdr_nvrtc_place_fn fn, void *ctx, char *tried, size_t n)
{
    search s = {fn, ctx, tried, n, 0};

    tried[0] = 0;
    return visit_all(&s, folder, n_folders);
}

int gdr_nvrtc_each_place(gdr_nvrtc_place_fn fn, void *ctx, char *tried,
                         size_t n)
{
    search s = {fn, ctx, tried, n, 0};
    const char *own = getenv("GDR_NVRTC");
    int enough;

    if (own && *own) {
        snprintf(tried, n, "GDR_NVRTC=%s", own);
        return fn(ctx, own);
    }
    tried[0] = 0;
    enough = visit_all(&s, folders, sizeof folders / sizeof *folders);
    return enough ? enough : visit_python(&s);
}

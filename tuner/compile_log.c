/* compile_log.c - line by line; a line that is not known says nothing. */
#include "compile_log.h"

#include <stdio.h>
#include <string.h>

/* "(C7510) Potential Performance Loss: wgmma.mma_async instructions are
 * serialized due to ..." and its kin: ptxas 12 and 13 number them so. */
static const struct {
    int first, last;
    const char *what;
} losses[] = {
    {7507, 7507, "wgmma is serialised"},
    {7508, 7508, "setmaxnreg is ignored"},
    {7510, 7517, "wgmma is serialised"},
};

/* Calls for each line until fn returns not 0, which is returned. */
static int each_line(const char *log,
                     int (*fn)(void *ctx, const char *line, size_t length),
                     void *ctx)
{
    int r = 0;

    while (*log && !r) {
        size_t length = strcspn(log, "\n");
        r = fn(ctx, log, length);
        log += length + (log[length] == '\n');
    }
    return r;
}

/* The number in front of `word`; -1 when the line has no such word. */
static int number_before(const char *line, size_t length, const char *word)
{
    const char *at = memmem(line, length, word, strlen(word));
    const char *digit = at;
    int number;

    while (digit && digit > line && digit[-1] >= '0' && digit[-1] <= '9')
        digit--;
    return digit != at && sscanf(digit, "%9d", &number) == 1 ? number : -1;
}

static int find_spills(void *ctx, const char *line, size_t length)
{
    int *most = ctx;
    int stores = number_before(line, length, " bytes spill stores");
    int loads = number_before(line, length, " bytes spill loads");

    if (stores > *most)
        *most = stores;
    if (loads > *most)
        *most = loads;
    return 0;
}

int gdr_compile_log_spills(const char *log)
{
    int most = -1;

    each_line(log, find_spills, &most);
    return most;
}

typedef struct verdict {
    char *why;
    size_t n;
} verdict;

static int find_loss(void *ctx, const char *line, size_t length)
{
    const verdict *v = ctx;
    const char *mark = memmem(line, length, "(C", 2);
    int code;

    if (!mark || sscanf(mark, "(C%9d)", &code) != 1)
        return 0;
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++)
        if (code >= losses[i].first && code <= losses[i].last) {
            snprintf(v->why, v->n, "%s: %.*s", losses[i].what,
                     (int)(line + length - mark), mark);
            return 1;
        }
    return 0;
}

int gdr_compile_log_refuses(const char *log, char *why, size_t n)
{
    verdict v = {why, n};
    int spills = gdr_compile_log_spills(log);

    if (each_line(log, find_loss, &v))
        return 1;
    if (spills > 0)
        snprintf(why, n, "spills %d bytes of a thread", spills);
    return spills > 0;
}

static int is_noise(const char *line, size_t length)
{
    static const char *const words[] = {"Compile time", "bytes gmem",
                                        "Function properties for"};

    if (length == 0)
        return 1;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(line, "ptxas", 5) &&
            memmem(line, length, words[i], strlen(words[i])))
            return 1;
    return 0;
}

typedef struct writer {
    char *out;
    size_t n, at;
} writer;

static int keep_line(void *ctx, const char *line, size_t length)
{
    writer *w = ctx;

    if (!is_noise(line, length) && w->at < w->n)
        w->at += (size_t)snprintf(w->out + w->at, w->n - w->at, "%s%.*s",
                                  w->at ? "\n" : "", (int)length, line);
    return 0;
}

void gdr_compile_log_clean(const char *log, char *out, size_t n)
{
    writer w = {out, n, 0};

    if (n)
        out[0] = 0;
    each_line(log, keep_line, &w);
}

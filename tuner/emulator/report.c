/*
 * report.c - what was found, in words with places of the template. Places are
 * looked up when they are told, by addr2line in a memory file of the image.
 */
#include "machine.h"
#include "../../runtime/recurrent_abi.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- places ---- */

/* addr2line prints the inlined function first, then who called it: the first
 * place that is not in the primitives counts. */
static void read_place(FILE *f, char *text, size_t n)
{
    char line[512], here[400];

    snprintf(text, n, "?");
    if (!getcwd(here, sizeof here))
        here[0] = 0;
    while (fgets(line, sizeof line, f)) {
        const char *from = line, *mark;
        line[strcspn(line, " \n")] = 0; /* " (discriminator 2)" */
        if (line[0] == '?' || strstr(line, "prim_emu.h"))
            continue;
        mark = strstr(line, "templates/");
        if (mark)
            from = mark;
        else if (*here && !strncmp(line, here, strlen(here)))
            from = line + strlen(here) + 1;
        snprintf(text, n, "%.*s", (int)n - 1, from);
        break;
    }
    while (fgets(line, sizeof line, f))
        ;
}

static int write_image(const gdr_emu_image *image)
{
    int fd = memfd_create("gdr-emu", MFD_CLOEXEC);
    size_t at = 0;

    while (fd >= 0 && at < image->bytes) {
        ssize_t n =
            write(fd, (const char *)image->code + at, image->bytes - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    return fd;
}

/* The call, not what follows it: one byte back. */
static void find_place(gdr_emu *e, const void *pc, char *text, size_t n)
{
    char command[256];
    const gdr_emu_image *image = e->image;
    long at = image ? (long)((const char *)pc - image->begin) : 0;
    int fd = image ? write_image(image) : -1;
    FILE *f = NULL;

    snprintf(text, n, "%s+0x%lx", image ? image->name : "?", at);
    if (fd < 0)
        return;
    snprintf(command, sizeof command,
             "addr2line -i -e /proc/%ld/fd/%d 0x%lx 2>/dev/null",
             (long)getpid(), fd, at - 1);
    f = popen(command, "re"); /* NOLINT(cert-env33-c) */
    if (f) {
        char place[256];
        read_place(f, place, sizeof place);
        if (place[0] != '?')
            snprintf(text, n, "%s", place);
        pclose(f);
    }
    close(fd);
}

/* The one that holds what is known of a and b, or shall hold it. */
static gdr_emu_pair *find_pair(gdr_emu_image *image, const void *a,
                               const void *b)
{
    int i = 0;

    while (i < image->n_pairs &&
           (image->pair[i].a != a || image->pair[i].b != b))
        i++;
    return &image->pair[i < GDR_EMU_PAIRS ? i : GDR_EMU_PAIRS - 1];
}

int gdr_emu_same_line(gdr_emu *e, const void *a, const void *b)
{
    gdr_emu_pair *pair = find_pair(e->image, a, b);
    char one[256], other[256];

    if (pair->a == a && pair->b == b)
        return pair->same;
    find_place(e, a, one, sizeof one);
    find_place(e, b, other, sizeof other);
    *pair = (gdr_emu_pair){a, b, !strcmp(one, other)};
    if (e->image->n_pairs < GDR_EMU_PAIRS)
        e->image->n_pairs++;
    return pair->same;
}

/* ---- names of memory ---- */

void gdr_emu_name(gdr_emu *e, const gdr_emu_memory *m, const void *p,
                  char *text, size_t n)
{
    const gdr_recurrent_params *a = e->params;
    const struct {
        const char *name;
        const void *at;
    } known[] = {{"q", a->q},
                 {"k", a->k},
                 {"v", a->v},
                 {"o", a->o},
                 {"g", a->g},
                 {"beta", a->beta},
                 {"A_log", a->A_log},
                 {"dt_bias", a->dt_bias},
                 {"state", a->state},
                 {"snapshots", a->snapshots},
                 {"state_indices", a->state_indices},
                 {"cache_seqlens", a->cache_seqlens},
                 {"accepted", a->accepted},
                 {"workspace", a->workspace}};
    const char *name = m->name, *base = m->begin;

    for (size_t i = 0; !m->shared && i < sizeof known / sizeof *known; i++) {
        const char *at = known[i].at;
        if (at < m->begin || at >= m->begin + m->bytes ||
            at > (const char *)p || at < base)
            continue;
        name = known[i].name;
        base = at;
    }
    snprintf(text, n, "%s+%ld", name, (long)((const char *)p - base));
}

/* ---- collecting ---- */

void gdr_emu_forget(gdr_emu *e)
{
    e->n_reports = e->n_found = 0;
    e->outcome = "ok";
    e->waiting[0] = 0;
}

static const char *outcome_of(const char *kind)
{
    return !strcmp(kind, "race")     ? "race"
           : !strcmp(kind, "spin")   ? "timeout"
           : !strcmp(kind, "launch") ? "launch"
                                     : "crash";
}

static int told(const gdr_emu *e, const char *kind, const void *pc)
{
    for (int i = 0; i < e->n_reports; i++)
        if (e->report[i].pc == pc && !strcmp(e->report[i].kind, kind))
            return 1;
    return 0;
}

void gdr_emu_found(gdr_emu *e, const char *kind, const void *pc,
                   const void *other, const char *tail, const char *format, ...)
{
    gdr_emu_report *r = &e->report[e->n_reports];
    char what[160];
    va_list list;

    if (!e->n_found++ || !strcmp(kind, "race"))
        e->outcome = outcome_of(kind);
    if (e->n_reports == GDR_EMU_REPORTS || told(e, kind, pc))
        return;
    e->n_reports++;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    *r = (gdr_emu_report){
        .kind = kind, .number = e->n_reports, .pc = pc, .other = other};
    snprintf(r->tail, sizeof r->tail, "%s", tail ? tail : "");
    if (e->current)
        snprintf(r->text, sizeof r->text, "%s by block %lld thread %d", what,
                 (long long)e->block_index, e->current->index);
    else
        snprintf(r->text, sizeof r->text, "%s", what);
}

/* ---- who waits where ---- */

static int same_wait(const gdr_emu_thread *a, const gdr_emu_thread *b)
{
    return a->wait == b->wait && a->object == b->object && a->pc == b->pc &&
           a->argument == b->argument;
}

static void describe_wait(gdr_emu *e, const gdr_emu_thread *t, char *text,
                          size_t n)
{
    const gdr_emu_mbarrier *b;

    switch (t->wait) {
    case GDR_WAIT_NOTHING:
        snprintf(text, n, "run");
        return;
    case GDR_WAIT_BARRIER:
        snprintf(text, n, "wait at barrier %d (%d of %u)", (int)t->object,
                 e->barrier[t->object].count, t->argument);
        return;
    case GDR_WAIT_WARP:
        snprintf(text, n, "wait for lanes (%#x are here)",
                 e->warp[t->index / GDR_EMU_WARP].arrived);
        return;
    case GDR_WAIT_MBARRIER:
        b = gdr_emu_mbarrier_find(e, e->pool + t->object);
        snprintf(text, n,
                 "wait for parity %u of an mbarrier (phase %u, %u arrivals and "
                 "%lld bytes missing)",
                 t->argument, b->phase, b->pending, (long long)b->bytes);
        return;
    default:
        snprintf(text, n, "have ended");
    }
}

void gdr_emu_found_stuck(gdr_emu *e, const char *kind)
{
    size_t at = 0, n = sizeof e->waiting;
    char text[160], place[256];
    gdr_emu_thread *culprit = e->current;

    e->waiting[0] = 0;
    for (int i = 0, end; i < e->n_threads && at < n; i = end) {
        const gdr_emu_thread *t = &e->thread[i];
        for (end = i; end < e->n_threads && same_wait(t, &e->thread[end]);)
            end++;
        if (t->wait == GDR_WAIT_WARP) /* who came when does not matter */
            while (end < e->n_threads && e->thread[end].wait == GDR_WAIT_WARP &&
                   e->thread[end].pc == t->pc)
                end++;
        describe_wait(e, t, text, sizeof text);
        if (t->pc && t->wait != GDR_WAIT_DONE)
            find_place(e, t->pc, place, sizeof place);
        else
            place[0] = 0;
        at += (size_t)snprintf(e->waiting + at, n - at,
                               "%sthreads %d..%d %s%s%s", at ? "; " : "", i,
                               end - 1, text, *place ? " at " : "", place);
    }
    for (int i = 0; i < e->n_threads && !culprit; i++)
        if (e->thread[i].wait != GDR_WAIT_DONE)
            culprit = &e->thread[i];
    gdr_emu_found(e, kind, culprit ? culprit->pc : NULL, NULL, NULL,
                  "block %lld", (long long)e->block_index);
}

/* ---- telling ---- */

/* A race explains most of what else there is; then in the order of time. */
static int races_first(const void *a, const void *b)
{
    const gdr_emu_report *x = a, *y = b;
    int xr = !strcmp(x->kind, "race"), yr = !strcmp(y->kind, "race");

    return xr != yr ? yr - xr : x->number - y->number;
}

int gdr_emu_explain(gdr_emu *e, const char **outcome, char *note, size_t n)
{
    size_t at = 0;
    char place[256];

    note[0] = 0;
    *outcome = e->outcome ? e->outcome : "ok";
    qsort(e->report, (size_t)e->n_reports, sizeof *e->report, races_first);
    for (int i = 0; i < e->n_reports && at < n; i++) {
        const gdr_emu_report *r = &e->report[i];
        at += (size_t)snprintf(note + at, n - at, "%s%s: %s", i ? "; " : "",
                               r->kind, r->text);
        if (r->pc && at < n) {
            find_place(e, r->pc, place, sizeof place);
            at += (size_t)snprintf(note + at, n - at, " at %s", place);
        }
        if (r->other && at < n) {
            find_place(e, r->other, place, sizeof place);
            at += (size_t)snprintf(note + at, n - at, " %s at %s", r->tail,
                                   place);
        }
    }
    if (e->waiting[0] && at < n)
        snprintf(note + at, n - at, ": %s", e->waiting);
    return e->n_found > 0;
}

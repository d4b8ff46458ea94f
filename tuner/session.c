/* session.c - opens and closes what a run needs, in one place. */
#include "session.h"
#include "../runtime/backend.h"
#include "../runtime/cpu_info.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* Changes whenever times taken before and after cannot be compared: the cache
 * state, the data, the ring, the statistic. Part of every fresh stamp. */
static const char real_protocol[] = "cold-state/1";

/* Seconds after which a compilation is given up: 300 times the usual one. */
static const double compile_limit_s = 60;

/* ---- device ---- */

static int all_digits(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == 0;
}

static gdr_status open_device(gdr_session *s)
{
    gdr_device_options o = {.size = sizeof o};
    void *dev = NULL;
    gdr_status st =
        gdr_target_open(s->o->device, &o, &s->target, &dev, s->msg, s->n);

    if (st != GDR_OK)
        return st;
    s->info = *s->target->backend->info(dev);
    s->target->backend->close(dev);
    if (s->info.bus[0])
        s->nvml = gdr_nvml_open(s->info.bus);
    /* "auto" chose: the workers must not choose again. */
    snprintf(s->device_name, sizeof s->device_name, "%s",
             strcmp(s->o->device, "auto") ? s->o->device : s->info.kind);
    s->traits = (gdr_generator_device){
        .kind = s->target->templates,
        .arch = s->info.arch,
        .isa = s->info.isa,
        .vector_bytes = s->info.vector_bytes,
        .l1_bytes = s->info.l1_bytes,
        .l2_bytes = s->info.l2_bytes,
        .smem_bytes = s->info.smem_bytes,
        .sms = s->info.sms,
    };
    return GDR_OK;
}

/* ---- database ---- */

static gdr_status open_store(gdr_session *s)
{
    gdr_device_row row = {s->info.fingerprint, s->info.kind, s->info.arch,
                          s->info.isa, s->info.name};
    gdr_status st;

    if (s->o->dry_run)
        return GDR_OK;
    st = gdr_store_path(s->o->db, 1, s->path, sizeof s->path, s->msg, s->n);
    if (st != GDR_OK)
        return st;
    st = gdr_store_open(s->path, GDR_STORE_WRITE, &s->store);
    if (st == GDR_OK)
        st = gdr_store_put_device(s->store, &row, &s->device);
    if (st == GDR_OK)
        gdr_report_attach(s->o->report, s->store);
    return gdr_session_store_failed(s, st);
}

gdr_status gdr_session_store_failed(gdr_session *s, gdr_status st)
{
    if (st != GDR_OK)
        snprintf(s->msg, s->n, "%s",
                 s->store ? gdr_store_errmsg(s->store) : gdr_strerror(st));
    return st;
}

static void read_line(const char *path, char *out, size_t n)
{
    FILE *f = fopen(path, "re");

    if (!f || !fgets(out, (int)n, f))
        snprintf(out, n, "unknown");
    out[strcspn(out, "\n")] = 0;
    if (f)
        fclose(f);
}

/* Before the first worker: whoever computes on the card is a stranger. */
static void describe_card(const gdr_session *s, char *text, size_t n)
{
    gdr_card_state card;
    char words[256];

    *text = 0;
    if (!s->info.bus[0])
        return;
    gdr_nvml_read(s->nvml, &card);
    gdr_card_describe(&card, words, sizeof words);
    snprintf(text, n, "; card: %s", words);
    if (card.processes)
        gdr_report_say(s->o->report, 0,
                       "other processes compute on %s (%u of them): its times "
                       "are not its own",
                       s->info.name, card.processes);
}

static void describe_host(const gdr_session *s, char *text, size_t n)
{
    struct utsname u;
    char governor[64], pages[128], card[320];

    describe_card(s, card, sizeof card);

    uname(&u);
    read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", governor,
              sizeof governor);
    read_line("/sys/kernel/mm/transparent_hugepage/enabled", pages,
              sizeof pages);
    snprintf(text, n,
             "%s %s %s; %s; threads=%d llc=%lld memory=%lld available=%lld; "
             "governor=%s; hugepages=%s%s",
             u.sysname, u.release, u.machine, s->info.name, s->info.sms,
             (long long)s->info.llc_bytes, (long long)s->info.memory_bytes,
             (long long)gdr_memory_available(), governor, pages, card);
}

gdr_status gdr_session_begin(gdr_session *s)
{
    char host[1024];
    gdr_run_row row = {.device = s->device,
                       .version = GDR_VERSION,
                       .compiler = s->compiler,
                       .protocol = s->protocol,
                       .command = s->o->command ? s->o->command : "",
                       .host = host,
                       .effort = s->o->effort,
                       .seed = s->o->seed};
    gdr_status st = GDR_OK;

    if (!s->queue)
        st = gdr_compile_queue_open(s->target, s->jobs, compile_limit_s,
                                    &s->queue);
    if (st != GDR_OK)
        snprintf(s->msg, s->n, "cannot start compile threads");
    if (st != GDR_OK || s->run)
        return st;
    describe_host(s, host, sizeof host);
    st = gdr_store_begin_run(s->store, &row, &s->run);
    return gdr_session_store_failed(s, st);
}

void gdr_session_end(gdr_session *s, const char *outcome)
{
    if (s->run)
        gdr_store_end_run(s->store, s->run, outcome);
    s->run = 0;
}

/* ---- all of it ---- */

static gdr_status read_clock(gdr_session *s)
{
    const char *clock = s->o->clock;
    char *end;

    snprintf(s->protocol, sizeof s->protocol, "%s", real_protocol);
    if (!clock)
        return GDR_OK;
    if (strncmp(clock, "script:", 7) != 0 || !all_digits(clock + 7)) {
        snprintf(s->msg, s->n, "unknown clock '%s': only script:SEED", clock);
        return GDR_ERR_ARG;
    }
    if (!s->o->db && !s->o->dry_run) {
        snprintf(s->msg, s->n,
                 "--clock script makes up its times: it needs "
                 "a --db of its own");
        return GDR_ERR_ARG;
    }
    s->scripted = 1;
    s->script_seed = strtoull(clock + 7, &end, 10);
    snprintf(s->protocol, sizeof s->protocol, "%s", clock);
    return GDR_OK;
}

static gdr_status open_generator(gdr_session *s)
{
    gdr_status st = gdr_generator_open(s->o->templates, &s->generator);

    if (st != GDR_OK)
        snprintf(s->msg, s->n, "%s",
                 s->generator ? gdr_generator_errmsg(s->generator)
                              : gdr_strerror(st));
    return st;
}

static int is_cpu(const gdr_session *s)
{
    return !strcmp(s->info.kind, "cpu");
}

/* Compilers run on the machine's cores, whatever a card has of its own; those
 * that share one card would only wait for one another. */
static void count_jobs(gdr_session *s)
{
    enum { OF_A_CARD = 4 };
    gdr_cpu_info cpu = {.cores = s->info.sms};

    if (!is_cpu(s))
        gdr_cpu_info_read("", &cpu);
    s->jobs = s->o->jobs > 0 ? s->o->jobs : cpu.cores;
    s->posts = s->target->posts ? s->target->posts : s->jobs;
    if (!s->target->posts && s->target->keeps_worker && s->posts > OF_A_CARD)
        s->posts = OF_A_CARD;
}

gdr_status gdr_session_open_source(gdr_session *s, const gdr_tune_options *o,
                                   char *msg, size_t n)
{
    gdr_status st;

    memset(s, 0, sizeof *s);
    s->o = o;
    s->msg = msg;
    s->n = n;
    s->began_s = gdr_now();
    s->end_s = o->budget_s > 0 ? s->began_s + o->budget_s : INFINITY;
    st = read_clock(s);
    if (st == GDR_OK)
        st = open_device(s);
    if (st == GDR_OK)
        st = open_generator(s);
    if (st == GDR_OK)
        count_jobs(s);
    return st;
}

gdr_status gdr_session_open(gdr_session *s, const gdr_tune_options *o,
                            char *msg, size_t n)
{
    gdr_status st = gdr_session_open_source(s, o, msg, n);

    if (st == GDR_OK && !strcmp(s->o->device, "auto"))
        gdr_report_say(s->o->report, 1, "device: %s, %s, %d threads (auto)",
                       s->info.kind, s->info.name, s->info.sms);
    if (st == GDR_OK)
        st = s->target->compiler(s->compiler, sizeof s->compiler, msg, n);
    return st == GDR_OK ? open_store(s) : st;
}

void gdr_session_close(gdr_session *s)
{
    gdr_session_end(s, "failed");
    gdr_compile_queue_close(s->queue);
    if (s->store)
        gdr_report_attach(s->o->report, NULL);
    gdr_store_close(s->store);
    gdr_generator_close(s->generator);
    gdr_nvml_close(s->nvml);
    s->nvml = NULL;
}

int gdr_session_stopped(const gdr_session *s)
{
    return s->o->stop && *s->o->stop;
}

/* Shortest silence that means something on this device. */
static double least_deadline_s(const gdr_session *s)
{
    if (s->o->deadline_s > 0)
        return s->o->deadline_s;
    return s->target->deadline_s > 0 ? s->target->deadline_s : 2;
}

gdr_worker *gdr_session_worker(gdr_session *s, double patience)
{
    double least_s = least_deadline_s(s);
    gdr_worker_options o = {.device = s->device_name,
                            .threads = is_cpu(s) ? s->info.sms : 0,
                            .deadline_s = patience * least_s,
                            .loud = s->o->loud_workers};
    gdr_worker *w = NULL;

    gdr_worker_open(&o, &w, s->msg, s->n);
    return w;
}

int64_t gdr_session_memory(const gdr_session *s)
{
    return s->target->own_memory ? s->info.memory_bytes / 10 * 9
                                 : gdr_memory_available();
}

void gdr_session_show(gdr_session *s, const char *phase, const char *problem)
{
    gdr_progress *p = &s->progress;

    if (phase)
        p->phase = phase;
    p->problem = problem;
    p->elapsed_s = gdr_now() - s->began_s;
    p->left_s = p->done > 0 ? p->elapsed_s / (double)p->done *
                                  (double)(p->total - p->done)
                            : -1;
    gdr_report_progress(s->o->report, p);
}

void gdr_session_stamp(const gdr_session *s, const char *hash, int64_t abi,
                       char stamp[GDR_HASH_TEXT])
{
    char number[24];
    /* one compiler and -march=native make other code on another machine */
    const char *text[] = {hash,   s->compiler,  s->protocol,
                          number, s->info.arch, s->info.isa};

    snprintf(number, sizeof number, "%lld", (long long)abi);
    gdr_hash_texts(text, sizeof text / sizeof *text, stamp);
}

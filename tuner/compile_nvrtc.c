/*
 * compile_nvrtc.c - one program of NVRTC per call. The same source, arch and
 * library give the same bytes.
 */
#include "compile_nvrtc.h"
#include "channel.h"
#include "compile_log.h"
#include "compile_nvrtc_library.h"
#include "cubin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef GDR_NVRTC

/* No contraction: the templates say fma where they mean one, and so their bits
 * do not hang on the compiler's mood. -v, since spills stand only in the log.
 */
static const char *const flags[] = {"--std=c++17", "--fmad=false",
                                    "--ptxas-options=-v"};
enum { FLAGS = sizeof flags / sizeof *flags };

/* A template's launch bounds say how many blocks should be resident. Where that
 * takes more registers than a card has, the code is worth having without. */
static const char one_block[] = "--define-macro=GDR_ONE_BLOCK=1";

/* ---- which cards ---- */

/* The number of "sm_90a" or "compute_90"; 0: neither. */
static int arch_number(const char *arch)
{
    static const char *const kinds[] = {"sm_", "compute_"};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(kinds[i]);
        const char *digits = arch + length;
        char *end;
        long number;

        if (strncmp(arch, kinds[i], length) != 0 || *digits < '1' ||
            *digits > '9')
            continue;
        number = strtol(digits, &end, 10);
        if (number < 1000 && (!*end || (strchr("af", *end) && !end[1])))
            return (int)number;
    }
    return 0;
}

static gdr_status unknown_arch(const gdr_nvrtc *l, const char *arch, char *msg,
                               size_t n)
{
    int at = snprintf(msg, n, "NVRTC %d.%d does not know %s; it knows",
                      l->major, l->minor, arch);

    for (int i = 0; i < l->archs && at < (int)n; i++)
        at += snprintf(msg + at, n - (size_t)at, " sm_%d", l->arch[i]);
    return GDR_ERR_NOT_FOUND;
}

static gdr_status knows(const gdr_nvrtc *l, const char *arch, char *msg,
                        size_t n)
{
    int number = arch_number(arch);

    for (int i = 0; i < l->archs; i++)
        if (number == l->arch[i])
            return GDR_OK;
    return unknown_arch(l, arch, msg, n);
}

gdr_status gdr_nvrtc_knows(const char *arch, char *msg, size_t n)
{
    const gdr_nvrtc *l = gdr_nvrtc_get(msg, n);

    return l ? knows(l, arch, msg, n) : GDR_ERR_COMPILE;
}

gdr_status gdr_nvrtc_identity(char *text, size_t text_n, char *msg, size_t n)
{
    const gdr_nvrtc *l = gdr_nvrtc_get(msg, n);
    int at;

    if (!l)
        return GDR_ERR_COMPILE;
    at = snprintf(text, text_n, "NVRTC %d.%d", l->major, l->minor);
    for (int i = 0; i < FLAGS && at < (int)text_n; i++)
        at += snprintf(text + at, text_n - (size_t)at, " %s", flags[i]);
    return GDR_OK;
}

/* ---- one compilation ---- */

typedef struct job {
    const gdr_nvrtc *l;
    nvrtcProgram program;
    const char *arch;
    int ptx, one_block;
    double limit_s, until_s;
    char *words; /* all of the compiler's, malloc'd */
    gdr_image *out;
    char *log; /* the caller's */
    size_t n;
} job;

/* Called by the compiler now and then: 1 ends it. Never 0 again after a 1. */
static int over_time(void *ctx, void *reserved)
{
    const job *j = ctx;

    (void)reserved;
    return gdr_now() > j->until_s;
}

static gdr_status status_of(nvrtcResult r)
{
    return r == NVRTC_SUCCESS               ? GDR_OK
           : r == NVRTC_ERROR_OUT_OF_MEMORY ? GDR_ERR_NO_MEMORY
                                            : GDR_ERR_COMPILE;
}

static gdr_status read_words(job *j)
{
    size_t bytes = 0;

    if (j->l->log_size(j->program, &bytes) != NVRTC_SUCCESS)
        bytes = 0;
    j->words = calloc(1, bytes + 1);
    if (j->words && bytes)
        j->l->log(j->program, j->words);
    return j->words ? GDR_OK : GDR_ERR_NO_MEMORY;
}

/* What went wrong, then the compiler's words. */
static gdr_status refuse(job *j, gdr_status st, const char *why)
{
    size_t at = (size_t)snprintf(j->log, j->n, "%s%s", why, *why ? "\n" : "");

    if (j->words && at < j->n)
        gdr_compile_log_clean(j->words, j->log + at, j->n - at);
    return st;
}

static gdr_status run_compiler(job *j)
{
    const char *option[FLAGS + 3];
    int options = FLAGS + 1;
    char arch[48];
    nvrtcResult r;
    gdr_status st;

    snprintf(arch, sizeof arch, "-arch=%.32s", j->arch);
    option[0] = arch;
    memcpy(option + 1, flags, sizeof flags);
    if (j->l->no_cache)
        option[options++] = GDR_NVRTC_NO_CACHE;
    if (j->one_block)
        option[options++] = one_block;
    if (j->l->set_callback)
        j->l->set_callback(j->program, over_time, j);
    j->until_s = gdr_now() + j->limit_s;
    r = j->l->compile(j->program, options, option);
    st = read_words(j);
    if (st == GDR_OK && gdr_now() > j->until_s) {
        char why[64];
        snprintf(why, sizeof why, "took longer than %g s", j->limit_s);
        return refuse(j, GDR_ERR_COMPILE, why);
    }
    if (st == GDR_OK && r != NVRTC_SUCCESS)
        return refuse(j, status_of(r), *j->words ? "" : j->l->error_string(r));
    return st;
}

static gdr_status take_code(job *j)
{
    size_t bytes = 0;
    nvrtcResult r = j->ptx ? j->l->ptx_size(j->program, &bytes)
                           : j->l->cubin_size(j->program, &bytes);

    if (r != NVRTC_SUCCESS || !bytes)
        return refuse(j, GDR_ERR_COMPILE, "NVRTC gives no code");
    j->out->code = malloc(bytes);
    if (!j->out->code)
        return GDR_ERR_NO_MEMORY;
    j->out->bytes = bytes;
    r = j->ptx ? j->l->ptx(j->program, j->out->code)
               : j->l->cubin(j->program, j->out->code);
    return r == NVRTC_SUCCESS ? GDR_OK
                              : refuse(j, status_of(r), j->l->error_string(r));
}

/* A cubin of CUDA 13.2 runs on every driver of CUDA 13 (minor version
 * compatibility, CUDA's guide of that name); PTX needs the compiler's own. */
static gdr_status take_figures(job *j)
{
    gdr_figures *f = &j->out->figures;
    char why[256] = "";
    gdr_cubin c;
    gdr_status st;

    f->min_driver = j->l->major * 1000 + (j->ptx ? j->l->minor * 10 : 0);
    if (j->ptx)
        return GDR_OK;
    st = gdr_cubin_read(j->out->code, j->out->bytes, &c, why, sizeof why);
    if (st != GDR_OK)
        return refuse(j, GDR_ERR_COMPILE, why);
    f->spill_bytes = gdr_compile_log_spills(j->words);
    if (f->spill_bytes < 0) {
        f->spill_bytes = 0;
        return refuse(j, GDR_ERR_COMPILE,
                      "the log does not say what is spilled");
    }
    f->known = 1;
    f->registers = c.registers;
    f->stack_bytes = c.stack_bytes;
    f->smem_bytes = c.smem_bytes;
    f->barriers = c.barriers;
    return GDR_OK;
}

static gdr_status judge(job *j)
{
    char why[256] = "";

    if (gdr_compile_log_refuses(j->words, why, sizeof why))
        return refuse(j, GDR_ERR_COMPILE, why);
    gdr_compile_log_clean(j->words, j->log, j->n);
    return GDR_OK;
}

static gdr_status compile(job *j, const char *text)
{
    nvrtcResult r = j->l->create(&j->program, text, "kernel.cu", 0, NULL, NULL);
    gdr_status st = status_of(r);

    if (st != GDR_OK)
        return refuse(j, st, j->l->error_string(r));
    st = run_compiler(j);
    if (st == GDR_OK)
        st = take_code(j);
    if (st == GDR_OK)
        st = take_figures(j);
    return st == GDR_OK ? judge(j) : st;
}

static gdr_status run_job(job *j, const char *text)
{
    gdr_status st;

    j->log[0] = 0;
    st = compile(j, text);
    if (st != GDR_OK) {
        free(j->out->code);
        j->out->code = NULL;
        j->out->bytes = 0;
    }
    if (j->program)
        j->l->destroy(&j->program);
    j->program = NULL;
    free(j->words);
    j->words = NULL;
    return st;
}

static gdr_status compile_known(job *j, const char *text)
{
    gdr_status st = run_job(j, text);
    int spilled = j->out->figures.spill_bytes;
    size_t at;

    if (st != GDR_ERR_COMPILE || spilled == 0)
        return st;
    memset(&j->out->figures, 0, sizeof j->out->figures);
    j->one_block = 1;
    st = run_job(j, text);
    at = strlen(j->log);
    snprintf(
        j->log + at, j->n - at,
        "%sbounds for one block, since for more %d bytes of a thread spill\n",
        at && j->log[at - 1] != '\n' ? "\n" : "", spilled);
    return st;
}

gdr_status gdr_nvrtc_compile(const char *source, size_t bytes, const char *arch,
                             double limit_s, gdr_image *out, char *log,
                             size_t n)
{
    const gdr_nvrtc *l = gdr_nvrtc_get(log, n);
    job j = {.l = l,
             .arch = arch,
             .ptx = !strncmp(arch, "compute_", 8),
             .limit_s = limit_s,
             .out = out,
             .log = log,
             .n = n};
    gdr_status st;
    char *text;

    memset(out, 0, sizeof *out);
    if (!l)
        return GDR_ERR_IO;
    if (knows(l, arch, log, n) != GDR_OK)
        return GDR_ERR_COMPILE;
    snprintf(out->isa, sizeof out->isa, "%s", arch);
    text = strndup(source, bytes); /* NVRTC wants the 0 */
    log[0] = 0;
    st = text ? compile_known(&j, text) : GDR_ERR_NO_MEMORY;
    free(text);
    return st;
}

#else

static gdr_status not_built(char *msg, size_t n)
{
    snprintf(msg, n,
             "this gdr-tune was built without the CUDA toolkit's headers "
             "(nvrtc.h); install them, or set CUDA_HOME, and build it again");
    return GDR_ERR_COMPILE;
}

gdr_status gdr_nvrtc_identity(char *text, size_t text_n, char *msg, size_t n)
{
    if (text_n > 0)
        text[0] = 0;
    return not_built(msg, n);
}

gdr_status gdr_nvrtc_knows(const char *arch, char *msg, size_t n)
{
    (void)arch;
    return not_built(msg, n);
}

gdr_status gdr_nvrtc_compile(const char *source, size_t bytes, const char *arch,
                             double limit_s, gdr_image *out, char *log,
                             size_t n)
{
    (void)source, (void)bytes, (void)arch, (void)limit_s;
    memset(out, 0, sizeof *out);
    not_built(log, n);
    return GDR_ERR_IO;
}

#endif

/*
 * rows.c - copies of rows, checked. What must stay true: every entry's problem
 * passes gdr_problem_check, every step of a code without `why` parses, and all
 * texts are there (never NULL).
 */
#include "rows.h"
#include "recurrent_abi.h"
#include "status.h"

#include <inttypes.h>
#include <math.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No real image comes near: one bad length must not exhaust the memory of a
 * serving engine. */
static const int64_t image_max = INT64_C(256) << 20;

/* ---- memory: chunks that live as long as the rows ---- */

typedef struct gdr_rows_chunk {
    struct gdr_rows_chunk *next;
    size_t used, size;
    _Alignas(16) char data[];
} chunk;

enum { CHUNK_BYTES = 1 << 16, ALIGN = 16 };

static void *reserve(gdr_rows *rows, size_t bytes)
{
    chunk *c = rows->chunks;
    size_t size;
    void *p;

    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!c || c->size - c->used < bytes) {
        size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        c = malloc(sizeof *c + size);
        if (!c)
            return NULL;
        *c = (chunk){.next = rows->chunks, .size = size};
        rows->chunks = c;
    }
    p = c->data + c->used;
    c->used += bytes;
    return p;
}

static void *keep(gdr_rows *rows, const void *data, size_t bytes)
{
    void *p = reserve(rows, bytes);

    return p ? memcpy(p, data, bytes) : NULL;
}

static const char *keep_text(gdr_rows *rows, const char *text)
{
    return keep(rows, text, strlen(text) + 1);
}

/* The array with room for one more behind n; doubles at powers of two. */
static void *grow(void *array, uint32_t n, size_t bytes)
{
    size_t room = n ? (size_t)n * 2 : 1;

    return (n & (n - 1)) == 0 ? realloc(array, room * bytes) : array;
}

gdr_status gdr_rows_open(gdr_rows **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? GDR_OK : GDR_ERR_NO_MEMORY;
}

static void forget(void *node)
{
    (void)node; /* a gdr_code, in a chunk */
}

void gdr_rows_close(gdr_rows *rows)
{
    if (!rows)
        return;
    tdestroy(rows->codes_by_name, forget);
    for (chunk *c = rows->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(rows->entry);
    free(rows->code);
    free(rows->origin);
    free(rows);
}

/* ---- notes ---- */

__attribute__((format(printf, 2, 3))) static gdr_status
skip(gdr_rows *rows, const char *format, ...)
{
    char text[512];
    va_list args;

    if (rows->n_skipped < GDR_ROWS_NOTES) {
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        rows->note[rows->n_skipped] = keep_text(rows, text);
        if (!rows->note[rows->n_skipped])
            return GDR_ERR_NO_MEMORY;
    }
    rows->n_skipped++;
    return GDR_OK;
}

/* ---- rows ---- */

/* What a row lacks, or NULL. */
static const char *missing(const gdr_row *row)
{
    const struct {
        const char *name, *text;
    } needed[] = {
        {"no device fingerprint", row->origin.fingerprint},
        {"no device kind", row->origin.kind},
        {"no device arch", row->origin.arch},
        {"no device isa", row->origin.isa},
        {"no problem", row->problem},
        {"no variant", row->variant},
        {"no stamp", row->stamp},
        {"no kernel", row->kernel},
        {"no config", row->config},
        {"no reduction id", row->reduction},
    };

    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!needed[i].text)
            return needed[i].name;
    return NULL;
}

/* Writes why the row does not hold up; returns 1 if it does. */
static int check_row(const gdr_row *row, gdr_problem *p, char *why, size_t n)
{
    const char *lack = missing(row);

    why[0] = 0;
    if (lack)
        gdr_fail(GDR_ERR_FORMAT, why, n, "%s", lack);
    else if (gdr_problem_parse(row->problem, p, why, n))
        return 0;
    else if (row->abi < 1 || row->abi > GDR_RECURRENT_ABI)
        gdr_fail(GDR_ERR_NEWER, why, n,
                 "parameter ABI %" PRId64 ", this libgdr speaks 1 .. %d",
                 row->abi, GDR_RECURRENT_ABI);
    else if (p->x.B > 0 && row->max_work != 0)
        gdr_fail(GDR_ERR_FORMAT, why, n, "a default with extents");
    else if (p->x.B == 0 && row->max_work < 1)
        gdr_fail(GDR_ERR_FORMAT, why, n,
                 "neither extents nor a default's work");
    else if (!(row->time_ns >= 0) || isinf(row->time_ns))
        gdr_fail(GDR_ERR_FORMAT, why, n, "time_ns is %g", row->time_ns);
    return !why[0];
}

/* Finds or adds the device. A database has few. */
static const gdr_origin *put_origin(gdr_rows *rows, const gdr_origin *from)
{
    gdr_origin copy, *kept, **list;

    for (uint32_t i = 0; i < rows->n_origins; i++)
        if (!strcmp(rows->origin[i]->fingerprint, from->fingerprint))
            return rows->origin[i];
    copy = (gdr_origin){
        keep_text(rows, from->fingerprint), keep_text(rows, from->kind),
        keep_text(rows, from->arch), keep_text(rows, from->isa)};
    if (!copy.fingerprint || !copy.kind || !copy.arch || !copy.isa)
        return NULL;
    kept = keep(rows, &copy, sizeof copy);
    list = grow(rows->origin, rows->n_origins, sizeof(gdr_origin *));
    if (!list)
        return NULL;
    rows->origin = list;
    if (!kept)
        return NULL;
    return rows->origin[rows->n_origins++] = kept;
}

static int by_name(const void *a, const void *b)
{
    const gdr_code *c = a, *d = b;
    int order = strcmp(c->variant, d->variant);

    return order ? order : strcmp(c->stamp, d->stamp);
}

/* Finds or adds the code. */
static const gdr_code *put_code(gdr_rows *rows, const gdr_row *row)
{
    gdr_code key = {.variant = row->variant, .stamp = row->stamp};
    gdr_code **found = tfind(&key, &rows->codes_by_name, by_name);
    gdr_code *code, **list;

    if (found)
        return *found;
    key.variant = keep_text(rows, row->variant);
    key.stamp = keep_text(rows, row->stamp);
    key.id = rows->n_codes;
    list = grow(rows->code, rows->n_codes, sizeof(gdr_code *));
    if (!list)
        return NULL;
    rows->code = list;
    if (!key.variant || !key.stamp)
        return NULL;
    code = keep(rows, &key, sizeof key);
    if (!code || !tsearch(code, &rows->codes_by_name, by_name))
        return NULL;
    return rows->code[rows->n_codes++] = code;
}

/* The same, where the row before often has the same text. */
static const char *keep_again(gdr_rows *rows, const char *text,
                              const char *before)
{
    return before && !strcmp(text, before) ? before : keep_text(rows, text);
}

static void keep_words(gdr_rows *rows, const gdr_row *row, gdr_entry *e)
{
    static const gdr_entry none;
    const gdr_entry *last =
        rows->n_entries ? &rows->entry[rows->n_entries - 1] : &none;

    e->kernel = keep_again(rows, row->kernel, last->kernel);
    e->config = keep_again(rows, row->config, last->config);
    e->reduction = keep_again(rows, row->reduction, last->reduction);
    e->run = keep_again(rows, row->run ? row->run : "", last->run);
}

gdr_status gdr_rows_put(gdr_rows *rows, const gdr_row *row)
{
    gdr_entry e = {.max_work = row->max_work,
                   .abi = row->abi,
                   .time_ns = row->time_ns,
                   .regret = row->regret >= 0 ? row->regret : -1,
                   .spare = row->spare};
    gdr_entry *list;
    char why[384];

    if (!check_row(row, &e.problem, why, sizeof why))
        return skip(rows, "%.100s: %s", row->problem ? row->problem : "a row",
                    why);
    e.origin = put_origin(rows, &row->origin);
    e.code = put_code(rows, row);
    e.text = keep_text(rows, row->problem);
    keep_words(rows, row, &e);
    list = grow(rows->entry, rows->n_entries, sizeof(gdr_entry));
    if (!list)
        return GDR_ERR_NO_MEMORY;
    rows->entry = list;
    if (!e.origin || !e.code || !e.text || !e.kernel || !e.config ||
        !e.reduction || !e.run)
        return GDR_ERR_NO_MEMORY;
    rows->entry[rows->n_entries++] = e;
    return GDR_OK;
}

/* ---- steps ---- */

gdr_status gdr_rows_refuse_code(gdr_rows *rows, uint32_t id, const char *why)
{
    gdr_code *code = rows->code[id];

    if (code->why)
        return GDR_OK;
    code->why = keep_text(rows, why);
    if (!code->why)
        return GDR_ERR_NO_MEMORY;
    return skip(rows, "variant %.16s: %s", code->variant, why);
}

/* The texts of a step in one list. */
enum { TERMS = 7 };

static void list_terms(const gdr_step_text *s, const char *term[TERMS])
{
    term[0] = s->grid_x;
    term[1] = s->grid_y;
    term[2] = s->grid_z;
    term[3] = s->block;
    term[4] = s->smem;
    term[5] = s->workspace;
    term[6] = s->pdl ? s->pdl : "0";
}

/* Writes why the step does not hold up; returns 1 if it does. */
static int check_step(const gdr_code *code, int64_t n,
                      const gdr_step_text *text, const char *isa, char *why,
                      size_t size)
{
    const char *term[TERMS];
    gdr_term parsed;

    why[0] = 0;
    list_terms(text, term);
    if (n != code->n_steps || n >= GDR_RECIPE_STEPS)
        gdr_fail(GDR_ERR_FORMAT, why, size, "step %" PRId64 " is out of place",
                 n);
    else if (!text->entry || !text->entry[0] || !isa)
        gdr_fail(GDR_ERR_FORMAT, why, size, "step %" PRId64 " has no %s", n,
                 isa ? "entry" : "isa");
    for (int i = 0; i < TERMS && !why[0]; i++)
        if (gdr_term_parse(term[i], &parsed, why, size))
            return 0;
    return !why[0];
}

static gdr_status keep_texts(gdr_rows *rows, gdr_step_text *t,
                             const gdr_step_text *text)
{
    const char **kept[TERMS] = {&t->grid_x, &t->grid_y, &t->grid_z,
                                &t->block,  &t->smem,   &t->workspace,
                                &t->pdl};
    const char *term[TERMS];

    list_terms(text, term);
    for (int i = 0; i < TERMS; i++)
        if (!(*kept[i] = keep_text(rows, term[i])))
            return GDR_ERR_NO_MEMORY;
    t->entry = keep_text(rows, text->entry);
    return t->entry ? GDR_OK : GDR_ERR_NO_MEMORY;
}

/* Copies a step behind the others. image NULL: run. */
static gdr_status put_step(gdr_rows *rows, uint32_t id, int64_t n,
                           const gdr_step_text *text, const char *isa,
                           const void *image, size_t bytes, gdr_cpu_kernel run)
{
    gdr_code *code = rows->code[id];
    char why[384];
    int at;

    if (code->why)
        return GDR_OK;
    if (!check_step(code, n, text, isa, why, sizeof why))
        return gdr_rows_refuse_code(rows, id, why);
    at = code->n_steps;
    code->step[at].isa = keep_text(rows, isa);
    code->step[at].image = image ? keep(rows, image, bytes) : NULL;
    code->step[at].bytes = bytes;
    code->step[at].run = run;
    if (keep_texts(rows, &code->step[at].text, text) || !code->step[at].isa ||
        (image && !code->step[at].image))
        return GDR_ERR_NO_MEMORY;
    code->n_steps++;
    return GDR_OK;
}

gdr_status gdr_rows_put_step(gdr_rows *rows, uint32_t id, int64_t n,
                             const gdr_step_text *text, const char *isa,
                             const void *image, int64_t bytes)
{
    char why[96];

    if (image && bytes >= 1 && bytes <= image_max)
        return put_step(rows, id, n, text, isa, image, (size_t)bytes, NULL);
    gdr_fail(GDR_ERR_FORMAT, why, sizeof why,
             "step %" PRId64 " has %" PRId64 " bytes of code", n,
             image ? bytes : 0);
    return gdr_rows_refuse_code(rows, id, why);
}

gdr_status gdr_rows_put_kernel(gdr_rows *rows, uint32_t id, int64_t n,
                               const gdr_step_text *text, const char *isa,
                               gdr_cpu_kernel run)
{
    return put_step(rows, id, n, text, isa, NULL, 0, run);
}

gdr_status gdr_rows_put_hash(gdr_rows *rows, uint32_t id, const char *hash,
                             gdr_hash_fits fits)
{
    gdr_code *code = rows->code[id];
    int last = code->n_steps - 1;

    if (code->why || last < 0)
        return GDR_OK;
    code->step[last].hash = keep_text(rows, hash);
    code->step[last].fits = fits;
    return code->step[last].hash ? GDR_OK : GDR_ERR_NO_MEMORY;
}

int gdr_code_intact(const gdr_code *code)
{
    for (int i = 0; i < code->n_steps; i++)
        if (code->step[i].hash &&
            !code->step[i].fits(code->step[i].hash, code->step[i].image,
                                (int64_t)code->step[i].bytes))
            return 0;
    return 1;
}

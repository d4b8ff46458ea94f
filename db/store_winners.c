/*
 * store_winners.c - choices with the rows that they name. A thousand choices
 * name some forty variants and one device: each of those is read and checked
 * once, which makes opening a table twice as fast as a join that repeats them.
 */
#include "store_internal.h"
#include <assert.h>
#include <string.h>

/* A row that was read, with the memory of its texts. */
typedef struct known_variant {
    gdr_variant_row row;
    void *texts;
} known_variant;

typedef struct run_words {
    const char *version, *compiler, *began;
} run_words;

/* What the choices so far have named. Of devices and runs the last alone:
 * choices come in the order of devices. */
typedef struct memo {
    gdr_store *st;
    known_variant *variant; /* [n], by hash */
    size_t n, room;
    int64_t device_id, run_id; /* 0: none yet */
    gdr_device_row device;
    run_words run;
    void *device_texts, *run_texts;
} memo;

static void forget(memo *m)
{
    for (size_t i = 0; i < m->n; i++)
        sqlite3_free(m->variant[i].texts);
    sqlite3_free(m->variant);
    sqlite3_free(m->device_texts);
    sqlite3_free(m->run_texts);
}

/* Ends a query for one row: with its texts in *block, or with the reason. */
static gdr_status take_row(gdr_query *q, int found, const char *what,
                           const char **const *texts, int n, void **block)
{
    gdr_status status;
    void *packed = NULL;
    if (found && !gdr_query_failed(q)) {
        packed = gdr_store_pack(texts, n, NULL, 0);
        if (!packed)
            q->rc = SQLITE_NOMEM;
    }
    status = gdr_query_close(q);
    if (status != GDR_OK)
        return status;
    if (!found)
        return gdr_store_fail(q->st, GDR_ERR_FORMAT,
                              "damaged: a choice names a %s that is not "
                              "there; " GDR_STORE_RESTORE,
                              what);
    sqlite3_free(*block);
    *block = packed;
    return GDR_OK;
}

/* ---- variants ---- */

/* Where the hash is, or has its place. */
static size_t place_of(const memo *m, const char *hash)
{
    size_t from = 0, to = m->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strcmp(m->variant[middle].row.hash, hash) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static gdr_status read_variant(memo *m, const char *hash, known_variant *v)
{
    const char **texts[] = {&v->row.hash, &v->row.statics, &v->row.kernel,
                            &v->row.config, &v->row.reduction};
    gdr_query q;
    int found;
    gdr_query_open(&q, m->st,
                   "SELECT " GDR_STORE_VARIANT
                   " FROM variant v WHERE v.hash = ?");
    gdr_query_bind_text(&q, hash);
    found = gdr_query_step(&q);
    if (found)
        gdr_query_variant(&q, &v->row);
    return take_row(&q, found, "variant", texts, 5, &v->texts);
}

static gdr_status make_room(memo *m)
{
    size_t room = m->room ? 2 * m->room : 64;
    known_variant *more;
    if (m->n < m->room)
        return GDR_OK;
    more = sqlite3_realloc64(m->variant, room * sizeof *more);
    if (!more)
        return gdr_store_fail_sql(m->st, SQLITE_NOMEM);
    m->variant = more;
    m->room = room;
    return GDR_OK;
}

static gdr_status know_variant(memo *m, const char *hash, gdr_variant_row *row)
{
    size_t at = place_of(m, hash);
    gdr_status status;
    if (at == m->n || strcmp(m->variant[at].row.hash, hash) != 0) {
        known_variant fresh = {.texts = NULL};
        status = make_room(m);
        if (status == GDR_OK)
            status = read_variant(m, hash, &fresh);
        if (status != GDR_OK)
            return status;
        assert(m->variant && fresh.row.hash);
        memmove(m->variant + at + 1, m->variant + at,
                (m->n - at) * sizeof *m->variant);
        m->variant[at] = fresh;
        m->n++;
    }
    *row = m->variant[at].row;
    return GDR_OK;
}

/* ---- devices and runs ---- */

static gdr_status know_device(memo *m, int64_t id)
{
    gdr_device_row *d = &m->device;
    const char **texts[] = {&d->fingerprint, &d->kind, &d->arch, &d->isa,
                            &d->name};
    gdr_status status;
    gdr_query q;
    int found;
    if (m->device_id == id)
        return GDR_OK;
    m->device_id = 0;
    gdr_query_open(&q, m->st,
                   "SELECT " GDR_STORE_DEVICE " FROM device d WHERE d.id = ?");
    gdr_query_bind_int(&q, id);
    found = gdr_query_step(&q);
    if (found)
        gdr_query_device(&q, d, &id);
    status = take_row(&q, found, "device", texts, 5, &m->device_texts);
    if (status == GDR_OK)
        m->device_id = id;
    return status;
}

static gdr_status know_run(memo *m, int64_t id)
{
    run_words *r = &m->run;
    const char **texts[] = {&r->version, &r->compiler, &r->began};
    gdr_status status;
    gdr_query q;
    int found;
    if (m->run_id == id)
        return GDR_OK;
    m->run_id = 0;
    gdr_query_open(&q, m->st,
                   "SELECT version, compiler, began FROM run WHERE id = ?");
    gdr_query_bind_int(&q, id);
    found = gdr_query_step(&q);
    if (found) {
        r->version = gdr_query_text(&q);
        r->compiler = gdr_query_text(&q);
        r->began = gdr_query_text(&q);
    }
    status = take_row(&q, found, "run", texts, 3, &m->run_texts);
    if (status == GDR_OK)
        m->run_id = id;
    return status;
}

/* ---- all of them ---- */

static gdr_status fill(memo *m, gdr_winner_row *row)
{
    gdr_status status = know_variant(m, row->choice.variant, &row->variant);
    if (status == GDR_OK)
        status = know_variant(m, row->choice.fallback, &row->fallback);
    if (status == GDR_OK)
        status = know_device(m, row->choice.device);
    if (status == GDR_OK)
        status = know_run(m, row->choice.run);
    if (status != GDR_OK)
        return status;
    row->device = m->device;
    row->device_id = m->device_id;
    row->version = m->run.version;
    row->compiler = m->run.compiler;
    row->began = m->run.began;
    return GDR_OK;
}

#define EACH_WINNER(regret)                                                    \
    "SELECT " GDR_STORE_CHOICE regret                                          \
    " FROM choice c ORDER BY c.device, c.problem"

gdr_status gdr_store_each_winner(gdr_store *st, gdr_winner_fn fn, void *ctx)
{
    memo m = {.st = st};
    gdr_status status = GDR_OK, closed;
    gdr_query q;
    assert(st && fn);
    gdr_query_open(&q, st,
                   st->version < 3 ? EACH_WINNER(GDR_STORE_NO_REGRET)
                                   : EACH_WINNER(GDR_STORE_REGRET));
    while (status == GDR_OK && gdr_query_step(&q)) {
        gdr_winner_row row;
        gdr_query_choice(&q, &row.choice);
        if (gdr_query_failed(&q))
            break;
        status = fill(&m, &row);
        if (status == GDR_OK && fn(ctx, &row))
            break;
    }
    closed = gdr_query_close(&q);
    forget(&m);
    return status == GDR_OK ? closed : status;
}

/*
 * embedded.c - see gdr_embedded.h. A table that is compiled in is believed as
 * far as the program that holds it, and its rows are checked like a file's:
 * a mistake in one must not take the others along.
 */
#include "gdr_embedded.h"
#include "gdr_internal.h"
#include "status.h"

static gdr_status check_table(const gdr_embedded *t, char *msg, size_t n)
{
    if (!t)
        return gdr_fail(GDR_ERR_ARG, msg, n, "table is NULL");
    if (t->size != sizeof *t)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "table->size = %zu: must be %zu; write the file again "
                        "with the gdr-bundle of this libgdr",
                        t->size, sizeof *t);
    for (size_t i = 0; i < t->n_rows; i++)
        if (t->row[i].device >= t->n_devices || t->row[i].code >= t->n_codes)
            return gdr_fail(GDR_ERR_ARG, msg, n,
                            "table->row[%zu]: its %s is not in the table", i,
                            t->row[i].device >= t->n_devices ? "device"
                                                             : "code");
    return GDR_OK;
}

static gdr_status put_row(gdr_rows *rows, const gdr_embedded *t,
                          const gdr_embedded_row *r)
{
    const gdr_embedded_device *d = &t->device[r->device];
    const gdr_row row = {
        .origin = {d->fingerprint, d->kind, d->arch, d->isa},
        .problem = r->problem,
        .max_work = r->max_work,
        .variant = t->code[r->code].variant,
        .stamp = t->code[r->code].stamp,
        .kernel = r->kernel,
        .config = r->config,
        .reduction = r->reduction,
        .abi = r->abi,
        .run = r->run,
        .time_ns = r->time_ns,
        .regret = r->regret,
        .spare = r->spare,
    };

    return gdr_rows_put(rows, &row);
}

static gdr_status put_step(gdr_rows *rows, uint32_t id, int64_t n,
                           const gdr_embedded_step *s)
{
    const gdr_step_text text = {s->entry, s->grid_x, s->grid_y,    s->grid_z,
                                s->block, s->smem,   s->workspace, s->pdl};

    if (s->run)
        return gdr_rows_put_kernel(rows, id, n, &text, s->isa, s->run);
    if (!s->image)
        return gdr_rows_refuse_code(rows, id,
                                    "compiled for another architecture");
    return gdr_rows_put_step(rows, id, n, &text, s->isa, s->image,
                             (int64_t)s->bytes);
}

static gdr_status put_code(gdr_rows *rows, uint32_t id,
                           const gdr_embedded_code *code)
{
    gdr_status status = GDR_OK;

    for (size_t i = 0; i < code->n_steps && status == GDR_OK; i++)
        status = put_step(rows, id, (int64_t)i, &code->step[i]);
    return status;
}

/* A row brings its code along where it is the first to name it. */
static gdr_status put_all(gdr_rows *rows, const gdr_embedded *t)
{
    gdr_status status = GDR_OK;

    for (size_t i = 0; i < t->n_rows && status == GDR_OK; i++) {
        uint32_t known = rows->n_codes;

        status = put_row(rows, t, &t->row[i]);
        if (status == GDR_OK && rows->n_codes > known)
            status = put_code(rows, known, &t->code[t->row[i].code]);
    }
    return status;
}

gdr_status gdr_open_embedded(const gdr_embedded *table, gdr **out)
{
    gdr_status status = gdr_new(out);
    gdr *g = status ? NULL : *out;

    if (!g)
        return status;
    status = check_table(table, g->msg, sizeof g->msg);
    if (status)
        return status;
    status = put_all(g->rows, table);
    return status ? gdr_fail(status, g->msg, sizeof g->msg, "out of memory")
                  : GDR_OK;
}

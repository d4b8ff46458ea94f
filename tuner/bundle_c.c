/*
 * bundle_c.c - see bundle_c.h. Kernels of the cpu are expanded again, and must
 * give the source that was tuned. Each is compiled for the instruction set of
 * its image by pragmas, so that the engine's flags do not matter.
 */
#include "bundle_c.h"
#include "../generator/generator.h"
#include "c_names.h"
#include "hash.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct writer {
    const gdr_rows *rows;
    const char *name;
    FILE *out;
    gdr_generator *g;
    char *msg;
    size_t n;
} writer;

/* A step of the whole table. */
typedef struct step_id {
    uint32_t code;
    int step;
} step_id;

/* The prefix keeps it off the words of C and everybody else's names. */
void gdr_bundle_c_name(const char *path, char name[GDR_BUNDLE_C_NAME])
{
    const char *from = strrchr(path, '/');
    size_t n = (size_t)snprintf(name, GDR_BUNDLE_C_NAME, "gdr_table_");

    for (from = from ? from + 1 : path;
         *from && *from != '.' && n + 1 < GDR_BUNDLE_C_NAME; from++)
        name[n++] = isalnum((unsigned char)*from) ? *from : '_';
    name[n] = 0;
}

/* ---- literals ---- */

/* What is no plain letter is written in octal: no trigraph, no charset. */
static void put_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ' || *c > '~' || strchr("\"\\?", *c))
            fprintf(out, "\\%03o", *c);
        else
            fputc(*c, out);
    fputc('"', out);
}

/* Words in the order of a little-endian machine, as every one with a card is.
 */
static void put_image(FILE *out, const char *name, step_id id,
                      const char *bytes, size_t n)
{
    fprintf(out, "static const uint64_t image_%s_%" PRIu32 "_%d[] = {", name,
            id.code, id.step);
    for (size_t at = 0; at < n; at += 8) {
        uint64_t word = 0;

        for (size_t i = 0; i < 8 && at + i < n; i++)
            word |= (uint64_t)(unsigned char)bytes[at + i] << 8 * i;
        fprintf(out, "%s0x%" PRIx64 ",", at % 32 ? " " : "\n    ", word);
    }
    fputs("\n};\n\n", out);
}

/* ---- kernels of the cpu ---- */

/* Rows put a code when they name it: there is one. */
static const gdr_entry *user_of(const gdr_rows *rows, const gdr_code *code)
{
    for (uint32_t i = 0; i < rows->n_entries; i++)
        if (rows->entry[i].code == code)
            return &rows->entry[i];
    return NULL;
}

static int is_cpu(const gdr_entry *e)
{
    return !strcmp(e->origin->kind, "cpu");
}

/* Is it compiled there? As the preprocessor asks. */
static const char *test_of(const char *arch)
{
    return !strcmp(arch, "x86-64")    ? "defined(__x86_64__)"
           : !strcmp(arch, "aarch64") ? "defined(__aarch64__)"
                                      : "0";
}

static void put_isa(FILE *out, const char *isa)
{
    for (const char *c = isa; *c; c++)
        fputc(*c == '+' ? ',' : *c, out);
}

/* On aarch64 a target is spelled otherwise by each compiler: the kernels keep
 * to what every such machine has, and what the engine's flags add. */
static void begin_target(FILE *out, const char *arch, const char *isa)
{
    int x86 = !strcmp(arch, "x86-64") && *isa;

    fputs("#if defined(__clang__)\n#pragma clang diagnostic push\n"
          "#pragma clang diagnostic ignored \"-Wmissing-prototypes\"\n"
          "#pragma clang fp contract(fast)\n",
          out);
    if (x86) {
        fputs("#pragma clang attribute push(__attribute__((target(\"", out);
        put_isa(out, isa);
        fputs("\"))), apply_to = function)\n", out);
    }
    fputs("#elif defined(__GNUC__)\n#pragma GCC diagnostic push\n"
          "#pragma GCC diagnostic ignored \"-Wmissing-prototypes\"\n"
          "#pragma GCC push_options\n"
          "#pragma GCC optimize(\"O3\", \"fp-contract=fast\", "
          "\"no-math-errno\")\n",
          out);
    if (x86) {
        fputs("#pragma GCC target(\"", out);
        put_isa(out, isa);
        fputs("\")\n", out);
    }
    fputs("#endif\n", out);
}

static void end_target(FILE *out, const char *arch, const char *isa)
{
    fprintf(out, "#if defined(__clang__)\n%s#pragma clang diagnostic pop\n",
            !strcmp(arch, "x86-64") && *isa ? "#pragma clang attribute pop\n"
                                            : "");
    fputs("#elif defined(__GNUC__)\n#pragma GCC pop_options\n"
          "#pragma GCC diagnostic pop\n#endif\n",
          out);
}

/* What becomes C as it is, and not as a literal, must be what it says. */
static int is_plain(const char *text, const char *more)
{
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr(more, *text))
            return 0;
    return 1;
}

static gdr_status check_texts(const writer *w, const gdr_entry *e)
{
    for (int i = 0; i < e->code->n_steps; i++) {
        const char *entry = e->code->step[i].text.entry;

        if (is_plain(entry, "_") && !isdigit((unsigned char)*entry) &&
            is_plain(e->code->step[i].isa, "+.-_"))
            continue;
        snprintf(w->msg, w->n,
                 "%s %s: step %d has an entry or an instruction set with odd "
                 "characters: the database is damaged",
                 e->kernel, e->config, i);
        return GDR_ERR_FORMAT;
    }
    return GDR_OK;
}

/* Frees what there is. */
static void drop_sources(char **source, int n)
{
    for (int i = 0; i < n; i++)
        free(source[i]);
}

static gdr_status expand(const writer *w, const gdr_entry *e, char **source)
{
    char hash[GDR_HASH_TEXT];
    int n = e->code->n_steps;
    size_t bytes = 0;

    for (int i = 0; i < n; i++)
        if (gdr_generator_expand(w->g, &e->problem.s, e->kernel, e->config, i,
                                 &source[i], &bytes) != GDR_OK) {
            snprintf(w->msg, w->n, "%s %s: %s", e->kernel, e->config,
                     gdr_generator_errmsg(w->g));
            return GDR_ERR_TEMPLATE;
        }
    if (n == 1)
        gdr_hash_bytes(source[0], bytes, hash);
    else
        gdr_hash_texts((const char *const *)source, (size_t)n, hash);
    if (!strcmp(hash, e->code->variant))
        return GDR_OK;
    snprintf(w->msg, w->n,
             "%s %s was made from other templates than this gdr-bundle holds; "
             "tune %.160s again with the gdr-tune beside it",
             e->kernel, e->config, e->text);
    return GDR_ERR_TEMPLATE;
}

/* Step i of a code as the function run_NAME_CODE_STEP. */
static gdr_status put_kernel(const writer *w, const gdr_entry *e, int i,
                             const char *source)
{
    const char *arch = e->origin->arch, *isa = e->code->step[i].isa;
    char suffix[GDR_BUNDLE_C_NAME + 32];
    gdr_status status;

    snprintf(suffix, sizeof suffix, "_%s_%" PRIu32 "_%d", w->name, e->code->id,
             i);
    fprintf(w->out, "#if %s\n", test_of(arch));
    begin_target(w->out, arch, isa);
    status = gdr_c_names_write(source, suffix, w->out);
    fprintf(w->out,
            "\nstatic void run%s(const struct gdr_recurrent_params *p,\n"
            "    long long begin, long long end)\n{\n"
            "    %s%s((const void *)p, begin, end);\n}\n",
            suffix, e->code->step[i].text.entry, suffix);
    end_target(w->out, arch, isa);
    fprintf(w->out, "#else\n#define run%s NULL\n#endif\n\n", suffix);
    return status;
}

static gdr_status put_kernels(const writer *w, const gdr_entry *e)
{
    char *source[GDR_RECIPE_STEPS] = {NULL};
    gdr_status status = check_texts(w, e);

    if (status == GDR_OK)
        status = expand(w, e, source);

    for (int i = 0; i < e->code->n_steps && status == GDR_OK; i++)
        status = put_kernel(w, e, i, source[i]);
    drop_sources(source, e->code->n_steps);
    return status;
}

/* ---- images of cards ---- */

/* Equal images are written once. */
static step_id first_alike(const gdr_rows *rows, uint32_t code, int step)
{
    const void *image = rows->code[code]->step[step].image;
    size_t bytes = rows->code[code]->step[step].bytes;

    for (uint32_t c = 0; c < code; c++)
        for (int i = 0; i < rows->code[c]->n_steps; i++)
            if (rows->code[c]->step[i].bytes == bytes &&
                !memcmp(rows->code[c]->step[i].image, image, bytes))
                return (step_id){c, i};
    return (step_id){code, step};
}

static void put_images(const writer *w, const gdr_code *code)
{
    for (int i = 0; i < code->n_steps; i++) {
        step_id id = first_alike(w->rows, code->id, i);

        if (id.code == code->id)
            put_image(w->out, w->name, id, code->step[i].image,
                      code->step[i].bytes);
    }
}

static gdr_status put_codes(const writer *w)
{
    gdr_status status = GDR_OK;

    for (uint32_t c = 0; c < w->rows->n_codes && status == GDR_OK; c++) {
        const gdr_entry *e = user_of(w->rows, w->rows->code[c]);

        if (is_cpu(e))
            status = put_kernels(w, e);
        else
            put_images(w, e->code);
    }
    return status;
}

/* ---- the table ---- */

static void put_texts(FILE *out, const char *const *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put_text(out, text[i]);
        fputs(", ", out);
    }
}

static void put_steps(const writer *w, const gdr_entry *e)
{
    fprintf(w->out,
            "static const gdr_embedded_step step_%s_%" PRIu32 "[] = {\n",
            w->name, e->code->id);
    for (int i = 0; i < e->code->n_steps; i++) {
        const gdr_step_text *t = &e->code->step[i].text;
        const char *const texts[] = {
            t->entry, t->grid_x,    t->grid_y, t->grid_z,           t->block,
            t->smem,  t->workspace, t->pdl,    e->code->step[i].isa};
        step_id id = first_alike(w->rows, e->code->id, i);

        fputs("    {", w->out);
        put_texts(w->out, texts, sizeof texts / sizeof *texts);
        if (is_cpu(e))
            fprintf(w->out, "NULL, 0, run_%s_%" PRIu32 "_%d},\n", w->name,
                    e->code->id, i);
        else
            fprintf(w->out, "image_%s_%" PRIu32 "_%d, %zu, NULL},\n", w->name,
                    id.code, id.step, e->code->step[i].bytes);
    }
    fputs("};\n\n", w->out);
}

static void put_devices(const writer *w)
{
    fprintf(w->out, "static const gdr_embedded_device device_%s[] = {\n",
            w->name);
    for (uint32_t i = 0; i < w->rows->n_origins; i++) {
        const gdr_origin *o = w->rows->origin[i];
        const char *const texts[] = {o->fingerprint, o->kind, o->arch, o->isa};

        fputs("    {", w->out);
        put_texts(w->out, texts, sizeof texts / sizeof *texts);
        fputs("},\n", w->out);
    }
    fputs("};\n\n", w->out);
}

static void put_code_list(const writer *w)
{
    fprintf(w->out, "static const gdr_embedded_code code_%s[] = {\n", w->name);
    for (uint32_t i = 0; i < w->rows->n_codes; i++) {
        const gdr_code *c = w->rows->code[i];

        fputs("    {", w->out);
        put_text(w->out, c->variant);
        fputs(", ", w->out);
        put_text(w->out, c->stamp);
        fprintf(w->out, ", step_%s_%" PRIu32 ", %d},\n", w->name, i,
                c->n_steps);
    }
    fputs("};\n\n", w->out);
}

static size_t origin_id(const gdr_rows *rows, const gdr_origin *o)
{
    size_t i = 0;

    while (rows->origin[i] != o)
        i++;
    return i;
}

static void put_row(const writer *w, const gdr_entry *e)
{
    const char *const texts[] = {e->kernel, e->config, e->reduction, e->run};

    fprintf(w->out, "    {%zu, %" PRIu32 ", ", origin_id(w->rows, e->origin),
            e->code->id);
    put_text(w->out, e->text);
    if (e->max_work == INT64_MAX)
        fputs(", INT64_MAX, ", w->out);
    else
        fprintf(w->out, ", INT64_C(%" PRId64 "), ", e->max_work);
    put_texts(w->out, texts, sizeof texts / sizeof *texts);
    fprintf(w->out, "%" PRId64 ", %.17g, %.17g, %d},\n", e->abi, e->time_ns,
            isfinite(e->regret) ? e->regret : -1, e->spare);
}

static void put_table(const writer *w)
{
    for (uint32_t i = 0; i < w->rows->n_codes; i++)
        put_steps(w, user_of(w->rows, w->rows->code[i]));
    put_devices(w);
    put_code_list(w);
    fprintf(w->out, "static const gdr_embedded_row row_%s[] = {\n", w->name);
    for (uint32_t i = 0; i < w->rows->n_entries; i++)
        put_row(w, &w->rows->entry[i]);
    fprintf(w->out,
            "};\n\n"
            "extern const gdr_embedded %s;\n"
            "const gdr_embedded %s = {\n"
            "    sizeof(gdr_embedded), device_%s, %" PRIu32
            ", code_%s, %" PRIu32 ", row_%s, %" PRIu32 ",\n};\n",
            w->name, w->name, w->name, w->rows->n_origins, w->name,
            w->rows->n_codes, w->name, w->rows->n_entries);
}

static void put_head(const writer *w)
{
    fprintf(w->out,
            "/*\n"
            " * Written by gdr-bundle " GDR_VERSION ": %" PRIu32
            " plans, %" PRIu32 " codes. Compile it with the engine and\n"
            " * link libgdr.a. gcc needs no flag; clang needs -O2, say.\n"
            " *\n"
            " *     extern const gdr_embedded %s;\n"
            " *     gdr_open_embedded(&%s, &g);\n"
            " */\n"
            "#include <gdr_embedded.h>\n"
            "#include <math.h>\n\n"
            "#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != "
            "__ORDER_LITTLE_ENDIAN__\n"
            "#error \"the images are words of little-endian machines\"\n"
            "#endif\n\n",
            w->rows->n_entries, w->rows->n_codes, w->name, w->name);
}

gdr_status gdr_bundle_c_write(const gdr_rows *rows, const char *name, FILE *out,
                              char *msg, size_t n)
{
    writer w = {rows, name, out, NULL, msg, n};
    gdr_status status = gdr_generator_open(NULL, &w.g);

    if (status != GDR_OK)
        snprintf(msg, n, "%s",
                 w.g ? gdr_generator_errmsg(w.g) : "out of memory");
    if (status == GDR_OK) {
        put_head(&w);
        status = put_codes(&w);
        if (status == GDR_ERR_NO_MEMORY)
            snprintf(msg, n, "out of memory");
    }
    if (status == GDR_OK)
        put_table(&w);
    gdr_generator_close(w.g);
    return status;
}

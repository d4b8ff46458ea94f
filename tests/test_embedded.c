/* test_embedded.c - a table of this process is a database like any other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../runtime/recurrent_abi.h"
#include "gdr_embedded.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define STATICS "recurrent:final:vk:f32/f32:k8v8:g"

static atomic_llong units; /* that the kernel was given */

static void kernel(const gdr_recurrent_params *p, long long begin,
                   long long end)
{
    assert_int_equal(p->B, 2);
    units += end - begin;
}

static const gdr_embedded_step mine = {
    "kernel", "b*hv", "1", "1", "1", "0", "0", "0", "", NULL, 0, kernel};
static const gdr_embedded_step foreign = {
    "kernel", "b*hv", "1", "1", "1", "0", "0", "0", "", NULL, 0, NULL};

#if defined(__aarch64__)
static const char arch[] = "aarch64";
#else
static const char arch[] = "x86-64";
#endif

/* A table with one device, one code and one row. */
typedef struct table {
    gdr_embedded_device device;
    gdr_embedded_code code;
    gdr_embedded_row row;
    gdr_embedded all;
} table;

/* fingerprint: of a device that is here, or "" */
static void make_table(table *t, const char *fingerprint,
                       const gdr_embedded_step *step)
{
    t->device = (gdr_embedded_device){fingerprint, "cpu", arch, ""};
    t->code = (gdr_embedded_code){"variant", "stamp", step, 1};
    t->row = (gdr_embedded_row){.problem = STATICS " / b2t1hk1hv2",
                                .kernel = "cpu/mine",
                                .config = "",
                                .reduction = "mine",
                                .run = "a test",
                                .abi = 1,
                                .time_ns = 100};
    t->all =
        (gdr_embedded){sizeof t->all, &t->device, 1, &t->code, 1, &t->row, 1};
}

/* The fingerprint of the cpu; malloc'd. */
static char *cpu_fingerprint(void)
{
    table t;
    gdr_device *dev;
    gdr *g;
    char *text;

    make_table(&t, "nowhere", &mine);
    assert_int_equal(gdr_open_embedded(&t.all, &g), GDR_OK);
    assert_int_equal(gdr_device_open(g, "cpu", NULL, &dev), GDR_OK);
    text = strdup(gdr_device_fingerprint(dev));
    gdr_device_close(dev);
    gdr_close(g);
    return text;
}

static void launch(const gdr *g, gdr_device *dev, const gdr_problem *p)
{
    static float memory[4096];
    gdr_plan_info info = {.size = sizeof info};
    gdr_plan plan;
    gdr_args args;
    gdr_set *set;

    if (gdr_select(dev, &p->s, NULL, &set) != GDR_OK)
        fail_msg("%s", gdr_errmsg(g));
    assert_int_equal(gdr_set_find(set, &p->x, &plan), GDR_OK);
    assert_int_equal(plan.match, GDR_MATCH_EXACT);
    assert_int_equal(gdr_plan_describe(&plan, &p->x, &info), GDR_OK);
    assert_string_equal(info.kernel, "cpu/mine");
    assert_string_equal(info.run, "a test");
    gdr_args_init(&args, p);
    args.q.data = args.k.data = args.v.data = args.o.data = memory;
    args.state = memory;
    assert_int_equal(gdr_launch(&plan, &args, NULL, NULL, 0), GDR_OK);
    gdr_set_close(set);
}

static void its_kernels_are_launched(void **state)
{
    char *here = cpu_fingerprint();
    gdr_problem p;
    gdr_device *dev;
    table t;
    gdr *g;

    (void)state;
    make_table(&t, here, &mine);
    assert_int_equal(gdr_problem_parse(t.row.problem, &p, NULL, 0), GDR_OK);
    assert_int_equal(gdr_open_embedded(&t.all, &g), GDR_OK);
    memset(&t, 0, sizeof t); /* it was copied */
    assert_int_equal(gdr_device_open(g, "cpu", NULL, &dev), GDR_OK);
    units = 0;
    launch(g, dev, &p);
    assert_int_equal(units, 2 * 2);
    gdr_device_close(dev);
    gdr_close(g);
    free(here);
}

static void code_of_another_architecture_is_no_plan(void **state)
{
    char *here = cpu_fingerprint();
    gdr_problem p;
    gdr_device *dev;
    gdr_set *set;
    table t;
    gdr *g;

    (void)state;
    make_table(&t, here, &foreign);
    assert_int_equal(gdr_problem_parse(t.row.problem, &p, NULL, 0), GDR_OK);
    assert_int_equal(gdr_open_embedded(&t.all, &g), GDR_OK);
    assert_int_equal(gdr_device_open(g, "cpu", NULL, &dev), GDR_OK);
    assert_int_equal(gdr_select(dev, &p.s, NULL, &set), GDR_ERR_NO_PLAN);
    assert_non_null(strstr(gdr_errmsg(g), "another architecture"));
    gdr_device_close(dev);
    gdr_close(g);
    free(here);
}

static void digests_tell_tables_apart(void **state)
{
    char one[GDR_DIGEST_TEXT], again[GDR_DIGEST_TEXT], two[GDR_DIGEST_TEXT];
    table t;
    gdr *g;

    (void)state;
    make_table(&t, "nowhere", &mine);
    assert_int_equal(gdr_open_embedded(&t.all, &g), GDR_OK);
    assert_int_equal(gdr_digest(g, one), GDR_OK);
    gdr_close(g);
    assert_int_equal(gdr_open_embedded(&t.all, &g), GDR_OK);
    assert_int_equal(gdr_digest(g, again), GDR_OK);
    gdr_close(g);
    t.code.variant = "other";
    assert_int_equal(gdr_open_embedded(&t.all, &g), GDR_OK);
    assert_int_equal(gdr_digest(g, two), GDR_OK);
    gdr_close(g);
    assert_string_equal(one, again);
    assert_string_not_equal(one, two);
}

static void refused(const gdr_embedded *t, const char *why)
{
    gdr *g = NULL;

    assert_int_equal(gdr_open_embedded(t, &g), GDR_ERR_ARG);
    assert_non_null(g);
    if (!strstr(gdr_errmsg(g), why))
        fail_msg("'%s' lacks '%s'", gdr_errmsg(g), why);
    gdr_close(g);
}

static void odd_tables_are_refused(void **state)
{
    table t;

    (void)state;
    make_table(&t, "nowhere", &mine);
    refused(NULL, "table is NULL");
    t.all.size--;
    refused(&t.all, "table->size");
    t.all.size++;
    t.row.device = 1;
    refused(&t.all, "row[0]: its device");
    t.row.device = 0;
    t.row.code = (size_t)-1;
    refused(&t.all, "row[0]: its code");
    assert_int_equal(gdr_open_embedded(&t.all, NULL), GDR_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_kernels_are_launched),
        cmocka_unit_test(code_of_another_architecture_is_no_plan),
        cmocka_unit_test(digests_tell_tables_apart),
        cmocka_unit_test(odd_tables_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_shapes.c - shape lists: the packed ones, and a user's file. */
#include "generator_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* needs some of the above */
#include <cmocka.h>

enum { MAX = 256 };

struct problems {
    gdr_problem p[MAX];
    int n, stop_after;
};

static int take(void *ctx, const char *text)
{
    struct problems *all = ctx;
    char again[GDR_PROBLEM_TEXT];
    gdr_problem *p = &all->p[all->n++];
    assert_true(all->n <= MAX);
    assert_int_equal(gdr_problem_parse(text, p, NULL, 0), GDR_OK);
    gdr_problem_format(p, again, sizeof(again));
    assert_string_equal(again, text);
    return all->n == all->stop_after;
}

static struct problems list_of(const char *name)
{
    struct problems all = {0};
    gdr_generator *g;
    assert_int_equal(gdr_generator_open(NULL, &g), GDR_OK);
    gdr_status st = gdr_generator_each_shape(g, name, take, &all);
    if (st)
        print_error("%s: %s\n", name, gdr_generator_errmsg(g));
    assert_int_equal(st, GDR_OK);
    gdr_generator_close(g);
    return all;
}

static int64_t state_bytes(const gdr_problem *p)
{
    int64_t element = p->s.state == GDR_F32 ? 4 : 2;
    int64_t slots = p->s.contract == GDR_FINAL ? 1 : p->x.T;
    return p->x.B * p->x.Hv * slots * p->s.K * p->s.V * element;
}

static void smoke_is_small(void **state)
{
    struct problems all = list_of("smoke");
    (void)state;
    assert_in_range(all.n, 4, 6);
    for (int i = 0; i < all.n; i++)
        assert_true(state_bytes(&all.p[i]) <= 32 << 20);
}

/* Which of the head pairs of semantics.md occurs. */
static void mark_heads(const gdr_problem *p, int seen[4][4])
{
    static const int hv[4] = {16, 32, 48, 64};
    for (int family = 0; family < 4; family++)
        for (int tp = 0; tp < 4; tp++)
            if (p->x.Hk == 16 >> tp && p->x.Hv == hv[family] >> tp)
                seen[family][tp]++;
}

static void qwen_is_what_it_says(void **state)
{
    struct problems all = list_of("qwen3.5");
    int seen[4][4] = {{0}}, per_size[7] = {0};
    int64_t largest = 0;
    (void)state;
    assert_in_range(all.n, 1, 70);
    for (int i = 0; i < all.n; i++) {
        const gdr_problem *p = &all.p[i];
        int64_t heads = p->x.B * p->x.Hv;
        assert_int_equal(p->s.layout, GDR_VK);
        assert_int_equal(p->s.io, GDR_BF16);
        assert_int_equal(p->s.l2norm, 1);
        assert_int_equal(p->s.round_between_tokens, p->s.contract == GDR_RING);
        assert_true(p->s.contract == GDR_FINAL ? p->x.T == 1
                                               : p->x.T == 2 || p->x.T == 4);
        assert_true(heads >= 8 && heads <= 32768);
        assert_true(p->x.B <= 1024);
        if (state_bytes(p) > largest)
            largest = state_bytes(p);
        for (int s = 0; s < 7; s++)
            per_size[s] += heads >= 8 << 2 * s && heads < 16 << 2 * s;
        per_size[6] += heads < 32768 && heads > 32000;
        mark_heads(p, seen);
    }
    assert_int_equal(largest, (int64_t)8 << 30);
    for (int i = 0; i < 16; i++)
        assert_true(seen[i / 4][i % 4] > 0);
    for (int s = 0; s < 7; s++)
        assert_int_equal(per_size[s], 10);
}

/* Every value of every static occurs in `all`, and qwen3.5 is part of it. */
static void all_covers_the_statics(void **state)
{
    struct problems all = list_of("all"), qwen = list_of("qwen3.5");
    int contract[4] = {0}, layout[2] = {0}, pair[3][3] = {{0}}, gate[2] = {0};
    int odd_v = 0, odd_k = 0;
    (void)state;
    for (int i = 0; i < all.n; i++) {
        const gdr_static *s = &all.p[i].s;
        contract[s->contract]++;
        layout[s->layout]++;
        pair[s->io][s->state]++;
        gate[s->gate]++;
        odd_v += s->V % 2;
        odd_k += s->K % 16 != 0;
        for (int j = 0; j < i; j++)
            assert_int_not_equal(gdr_problem_compare(&all.p[i], &all.p[j]), 0);
    }
    assert_true(contract[0] && contract[1] && contract[2] && contract[3]);
    assert_true(layout[0] && layout[1] && gate[0] && gate[1]);
    assert_true(pair[GDR_F32][GDR_F32] && pair[GDR_BF16][GDR_F32] &&
                pair[GDR_BF16][GDR_BF16] && pair[GDR_F16][GDR_F32] &&
                pair[GDR_F16][GDR_F16]);
    assert_true(odd_v && odd_k);
    for (int i = 0; i < qwen.n; i++)
        assert_int_equal(gdr_problem_compare(&all.p[i], &qwen.p[i]), 0);
}

static void a_callback_can_stop(void **state)
{
    struct problems all = {.stop_after = 2};
    gdr_generator *g;
    (void)state;
    assert_int_equal(gdr_generator_open(NULL, &g), GDR_OK);
    assert_int_equal(gdr_generator_each_shape(g, "smoke", take, &all), GDR_OK);
    assert_int_equal(all.n, 2);
    gdr_generator_close(g);
}

/* What the tuner does: a space for each problem while the list is walked. */
static int enter_again(void *ctx, const char *text)
{
    gdr_generator *g = ctx;
    gdr_generator_device d = device_of("cpu");
    gdr_problem p;
    gdr_space *space;
    assert_int_equal(gdr_problem_parse(text, &p, NULL, 0), GDR_OK);
    assert_int_equal(gdr_generator_space(g, &p.s, &d, &space), GDR_OK);
    assert_true(gdr_space_default(space, p.x.B * p.x.T * p.x.Hv) >= 0);
    gdr_space_close(space);
    d.kind = "nothing";
    assert_int_equal(gdr_generator_space(g, &p.s, &d, &space),
                     GDR_ERR_NOT_FOUND);
    return 0;
}

static void a_callback_can_call_the_generator(void **state)
{
    gdr_generator *g;
    (void)state;
    assert_int_equal(gdr_generator_open(NULL, &g), GDR_OK);
    assert_int_equal(gdr_generator_each_shape(g, "all", enter_again, g),
                     GDR_OK);
    gdr_generator_close(g);
}

static int add_name(void *ctx, const char *name, const char *doc)
{
    char *names = ctx;
    assert_true(strlen(doc) > 10);
    strcat(strcat(names, name), " ");
    return 0;
}

static void lists_have_names_and_docs(void **state)
{
    char names[256] = "";
    gdr_generator *g;
    (void)state;
    assert_int_equal(gdr_generator_open(NULL, &g), GDR_OK);
    assert_int_equal(gdr_generator_each_list(g, add_name, names), GDR_OK);
    assert_string_equal(names, "all qwen3.5 smoke ");
    gdr_generator_close(g);
}

static const char good[] =
    "return { doc = 'x', problems = {\n"
    " 'recurrent:final:vk:f32/f32:k8v1:g/b1t1hk1hv1',\n"
    " 'recurrent:final:vk:f32/f32:k8v1:g  /  b2t1hk1hv1',\n"
    " 'recurrent:final:vk:f32/f32:k8v1:g / b1t1hk1hv1',\n"
    " } }";

/* Blanks are canonical afterwards, and what stands twice comes once. */
static void a_users_file_is_a_list(void **state)
{
    struct folder f;
    char path[128];
    (void)state;
    folder_open(&f);
    folder_write(&f, "mine.lua", good);
    snprintf(path, sizeof(path), "%s/mine.lua", f.path);
    struct problems all = list_of(path);
    assert_int_equal(all.n, 2);
    assert_int_equal(all.p[1].x.B, 2);
    folder_close(&f);
}

static const struct {
    const char *text, *message;
} bad[] = {
    {"", "mine.lua: must return a table, not nothing"},
    {"return {", "mine.lua:1: unexpected symbol near <eof>"},
    {"return { problems = {} }", "mine.lua: doc: must be one line of text"},
    {"return { doc = 'x' }", "mine.lua: problems: must be a list of problems"},
    {"return { doc = 'x', problems = {} }", "mine.lua: problems: must be"},
    {"return { doc = 'x', problems = 'y' }", "mine.lua: problems: must be"},
    {"return { doc = 'x', problem = {} }", "mine.lua: problem: unknown"},
    {"return { doc = 'x', problems = { 3 } }",
     "mine.lua: problems[1]: must be a string"},
    {"return { doc = 'x', problems = { 'nonsense' } }",
     "mine.lua: problems[1]: 'nonsense': "},
    {"return { doc = 'x', problems = {"
     "'recurrent:final:vk:f32/f32:k8v1:g / b1t1hk1hv1',"
     "'recurrent:final:vk:f32/f32:k7v1:g / b1t1hk1hv1' } }",
     "mine.lua: problems[2]: 'recurrent:final:vk:f32/f32:k7v1:g / b1t1hk1hv1'"},
    {"return { doc = 'x', problems = {'recurrent:final:vk:f32/f32:k8v1:g'}}",
     "mine.lua: problems[1]: 'recurrent:final:vk:f32/f32:k8v1:g': the extents"},
    {"local t = {} for i = 1, 100001 do t[i] = 'x' end return { doc = 'x', "
     "problems = t }",
     "mine.lua: problems: more than 100000"},
    {"while true do end", "mine.lua:1: runs too long: an endless loop?"},
    {"local t = {} while true do t = { t, t } end", "mine.lua"},
    {"local s = 'x' while true do s = s .. s end", "uses more than 256 MiB"},
    {"return dofile('/etc/passwd')", "mine.lua:1: undeclared name 'dofile'"},
    {"return problems 'mine'", "mine.lua: problems: no packed list 'mine'"},
    {"return problems '../../x'", "mine.lua: problems: no packed list"},
    {"return common.nothing.x", "mine.lua:1: attempt to index a nil value"},
};

static int never(void *ctx, const char *text)
{
    (void)ctx;
    fail_msg("%s was given out of a list that is wrong", text);
    return 0;
}

static void a_bad_file_names_its_entry(void **state)
{
    struct folder f;
    char path[128];
    gdr_generator *g;
    int wrong = 0;
    (void)state;
    folder_open(&f);
    snprintf(path, sizeof(path), "%s/mine.lua", f.path);
    assert_int_equal(gdr_generator_open(NULL, &g), GDR_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        folder_write(&f, "mine.lua", bad[i].text);
        gdr_status st = gdr_generator_each_shape(g, path, never, NULL);
        const char *got = gdr_generator_errmsg(g);
        if (st == GDR_ERR_TEMPLATE && strstr(got, bad[i].message))
            continue;
        print_error("list:   %s\nwanted: %s\ngot:    %s: %s\n", bad[i].text,
                    bad[i].message, gdr_strerror(st), got);
        wrong++;
    }
    gdr_generator_close(g);
    folder_close(&f);
    assert_int_equal(wrong, 0);
}

static void an_unknown_list_is_not_found(void **state)
{
    gdr_generator *g;
    (void)state;
    assert_int_equal(gdr_generator_open(NULL, &g), GDR_OK);
    assert_int_equal(gdr_generator_each_shape(g, "smoky", never, NULL),
                     GDR_ERR_NOT_FOUND);
    assert_string_equal(gdr_generator_errmsg(g),
                        "no shape list 'smoky': use all, qwen3.5, smoke, or "
                        "the path of a .lua file");
    assert_int_equal(gdr_generator_each_shape(g, "/no/x.lua", never, NULL),
                     GDR_ERR_NOT_FOUND);
    assert_string_equal(gdr_generator_errmsg(g), "/no/x.lua: no such file");
    assert_int_equal(gdr_generator_each_shape(g, "../../x", never, NULL),
                     GDR_ERR_NOT_FOUND);
    assert_int_equal(gdr_generator_each_shape(g, "/tmp/", never, NULL),
                     GDR_ERR_IO);
    assert_int_equal(gdr_generator_each_shape(g, "", never, NULL),
                     GDR_ERR_NOT_FOUND);
    gdr_generator_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoke_is_small),
        cmocka_unit_test(qwen_is_what_it_says),
        cmocka_unit_test(all_covers_the_statics),
        cmocka_unit_test(a_callback_can_stop),
        cmocka_unit_test(a_callback_can_call_the_generator),
        cmocka_unit_test(lists_have_names_and_docs),
        cmocka_unit_test(a_users_file_is_a_list),
        cmocka_unit_test(a_bad_file_names_its_entry),
        cmocka_unit_test(an_unknown_list_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

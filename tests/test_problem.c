/* The text of a problem: round trips, errors that say which field, and hostile
 * input. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gdr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const canonical[] = {
    "recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b64t1hk16hv32",
    "recurrent:ring:vk:bf16/bf16:k128v128:l2norm:g:round / b8t4hk16hv32",
    "recurrent:indexed:kv:f16/f16:k8v1:fused",
    "recurrent:snapshots:vk:f32/f32:k1024v4096:l2norm:fused:round",
    "recurrent:final:kv:f16/f32:k64v64:g / b1t1hk1hv1",
    "recurrent:final:vk:bf16/f32:k128v128:g / "
    "b2147483647t1hk1hv128",
};

static gdr_problem parsed(const char *text)
{
    char msg[512] = "";
    gdr_problem p;

    if (gdr_problem_parse(text, &p, msg, sizeof msg))
        fail_msg("%s", msg);
    return p;
}

static void test_canonical(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
        gdr_problem p = parsed(canonical[i]);
        char text[GDR_PROBLEM_TEXT];

        assert_int_equal(gdr_problem_format(&p, text, sizeof text),
                         strlen(canonical[i]));
        assert_string_equal(text, canonical[i]);
        assert_int_equal(gdr_problem_check(&p, NULL, 0), GDR_OK);
    }
}

static void test_fields(void **state)
{
    gdr_problem p = parsed(canonical[1]);

    (void)state;
    assert_int_equal(p.s.size, sizeof p.s);
    assert_int_equal(p.s.op, GDR_RECURRENT);
    assert_int_equal(p.s.contract, GDR_RING);
    assert_int_equal(p.s.layout, GDR_VK);
    assert_int_equal(p.s.io, GDR_BF16);
    assert_int_equal(p.s.state, GDR_BF16);
    assert_int_equal(p.s.K, 128);
    assert_int_equal(p.s.V, 128);
    assert_int_equal(p.s.l2norm, 1);
    assert_int_equal(p.s.gate, GDR_GATE_G);
    assert_int_equal(p.s.round_between_tokens, 1);
    assert_int_equal(p.x.B, 8);
    assert_int_equal(p.x.T, 4);
    assert_int_equal(p.x.Hk, 16);
    assert_int_equal(p.x.Hv, 32);
}

/* Blanks around the '/' of the extents are the one freedom. */
static void test_blanks(void **state)
{
    static const char *const same[] = {
        "recurrent:final:vk:bf16/f32:k128v128:l2norm:g/b64t1hk16hv32",
        "recurrent:final:vk:bf16/f32:k128v128:l2norm:g   /b64t1hk16hv32",
        "recurrent:final:vk:bf16/f32:k128v128:l2norm:g/ \tb64t1hk16hv32",
    };
    gdr_problem want = parsed(canonical[0]);

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        gdr_problem p = parsed(same[i]);

        assert_memory_equal(&p, &want, sizeof p);
    }
}

/* An error names the field, what it got and what is allowed. */
static void test_errors(void **state)
{
    static const char *const cases[][4] = {
        {"", "op", "\"\"", "recurrent"},
        {"chunk:final", "op", "\"chunk\"", "recurrent"},
        {"recurrent", "contract", "\"\"", "':'"},
        {"recurrent:rings:vk", "contract", "\"rings\"", "final ring indexed"},
        {"recurrent:ring:VK", "layout", "\"VK\"", "vk kv"},
        {"recurrent:ring:vk:bf16/f16:k8v8:g", "dtypes", "\"bf16/f16\"",
         "f32/f32 bf16/f32 bf16/bf16 f16/f32 f16/f16"},
        {"recurrent:ring:vk:f32/f32:k12v8:g", "K", "\"k12v8\"",
         "multiples of 8"},
        {"recurrent:ring:vk:f32/f32:k0v8:g", "K", "\"k0v8\"", "k1 .. k1024"},
        {"recurrent:ring:vk:f32/f32:k08v8:g", "K", "\"k08v8\"", "k1"},
        {"recurrent:ring:vk:f32/f32:k1032v8:g", "K", "\"k1032v8\"", "k1024"},
        {"recurrent:ring:vk:f32/f32:k8v4097:g", "V", "\"v4097\"", "v4096"},
        {"recurrent:ring:vk:f32/f32:k8v99999999999999999999999:g", "V",
         "\"v9999", "v4096"},
        {"recurrent:ring:vk:f32/f32:k8v8", "gate", "\"\"", "':'"},
        {"recurrent:ring:vk:f32/f32:k8v8:l2norm", "gate", "\"\"", "':'"},
        {"recurrent:ring:vk:f32/f32:k8v8:gg", "gate", "\"gg\"", "g fused"},
        {"recurrent:ring:vk:f32/f32:k8v8:g:l2norm", "rest", "l2norm", "round"},
        {"recurrent:ring:vk:f32/f32:k8v8:g ", "rest", "\"\"", "nothing"},
        {"recurrent:ring:vk:f32/f32:k8v8:g / ", "B", "\"\"", "b1 .. b2147"},
        {"recurrent:ring:vk:f32/f32:k8v8:g / b0t1hk1hv1", "B", "\"b0t1", "b1"},
        {"recurrent:ring:vk:f32/f32:k8v8:g / b2147483648t1hk1hv1", "B",
         "\"b21474", "b2147483647"},
        {"recurrent:ring:vk:f32/f32:k8v8:g / b-1t1hk1hv1", "B", "\"b-1", "b1"},
        {"recurrent:ring:vk:f32/f32:k8v8:g / b1t1hv1", "Hk", "\"hv1\"", "hk1"},
        {"recurrent:ring:vk:f32/f32:k8v8:g / b1t1hk2hv3", "Hv", "3",
         "multiples of Hk, 2"},
        {"recurrent:ring:vk:f32/f32:k8v8:g / b2147483647t2147483647hk1hv1",
         "B*T*Hv", "2147483647", "2^38"},
        {"recurrent:ring:vk:f32/f32:k8v8:g / b1t1hk1hv1 ", "rest", "\"\"",
         "nothing"},
        {"recurrent:ring:vk:f32/f32:k8v8:g / b1t1hk1hv1x", "rest", "\"x\"",
         "nothing"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char msg[512] = "";
        gdr_problem p;

        if (gdr_problem_parse(cases[i][0], &p, msg, sizeof msg) !=
            GDR_ERR_PARSE)
            fail_msg("accepted: %s", cases[i][0]);
        for (int j = 1; j < 4; j++)
            if (!strstr(msg, cases[i][j]))
                fail_msg("%s: no %s in: %s", cases[i][0], cases[i][j], msg);
    }
}

static void test_null(void **state)
{
    gdr_problem p;
    char msg[64];

    (void)state;
    assert_int_equal(gdr_problem_parse(NULL, &p, NULL, 0), GDR_ERR_ARG);
    assert_int_equal(gdr_problem_parse("", NULL, msg, sizeof msg), GDR_ERR_ARG);
    assert_int_equal(gdr_problem_parse("x", &p, NULL, 0), GDR_ERR_PARSE);
    assert_int_equal(gdr_problem_parse("x", &p, msg, 1), GDR_ERR_PARSE);
    assert_string_equal(msg, "");
    assert_int_equal(gdr_problem_check(NULL, msg, sizeof msg), GDR_ERR_ARG);
}

/* A short buffer is cut like snprintf's, and the length is told. */
static void test_cut(void **state)
{
    gdr_problem p = parsed(canonical[0]);
    char text[8];

    (void)state;
    assert_int_equal(gdr_problem_format(&p, text, sizeof text),
                     strlen(canonical[0]));
    assert_string_equal(text, "recurre");
    assert_int_equal(gdr_problem_format(&p, NULL, 0), strlen(canonical[0]));
}

static void test_longest_text_fits(void **state)
{
    gdr_problem p = parsed("recurrent:snapshots:vk:bf16/bf16:k1024v4096:"
                           "l2norm:fused:round");

    (void)state;
    p.x = (gdr_extents){2147483647, 1, 1, 1};
    assert_true(gdr_problem_format(&p, NULL, 0) + 1 + 27 <= GDR_PROBLEM_TEXT);
}

static void test_check(void **state)
{
    static const char *const named[] = {
        "size",   "op",    "contract", "layout", "gate", "K", "V",
        "l2norm", "round", "io",       "B",      "Hv",   "K"};
    gdr_problem bad[13];
    char msg[256];

    (void)state;
    for (int i = 0; i < 13; i++)
        bad[i] = parsed(canonical[0]);
    bad[0].s.size = 0;
    bad[1].s.op = (gdr_op)9;
    bad[2].s.contract = (gdr_contract)-1;
    bad[3].s.layout = (gdr_layout)2;
    bad[4].s.gate = (gdr_gate)2;
    bad[5].s.K = -8;
    bad[6].s.V = 0;
    bad[7].s.l2norm = 2;
    bad[8].s.round_between_tokens = -1;
    bad[9].s.state = GDR_F16;
    bad[10].x.B = 0;
    bad[11].x.Hv = 31;
    bad[12].s.K = 12;
    for (int i = 0; i < 13; i++) {
        assert_int_equal(gdr_problem_check(&bad[i], msg, sizeof msg),
                         GDR_ERR_ARG);
        if (!strstr(msg, named[i]))
            fail_msg("no %s in: %s", named[i], msg);
    }
}

/* ---- every static, every truncation, every byte ---- */

/* What parses must format to something that parses back to the same. */
static int survives(const char *text)
{
    char once[GDR_PROBLEM_TEXT], twice[GDR_PROBLEM_TEXT];
    gdr_problem p, q;

    if (gdr_problem_parse(text, &p, NULL, 0))
        return 0;
    gdr_problem_format(&p, once, sizeof once);
    if (gdr_problem_parse(once, &q, NULL, 0) || memcmp(&p, &q, sizeof p))
        fail_msg("\"%s\" does not come back from \"%s\"", once, text);
    gdr_problem_format(&q, twice, sizeof twice);
    assert_string_equal(once, twice);
    return 1;
}

static void mutate(const char *text)
{
    size_t length = strlen(text);
    char copy[GDR_PROBLEM_TEXT];

    for (size_t at = 0; at <= length; at++) {
        strcpy(copy, text);
        copy[at] = 0;
        survives(copy);
        for (int byte = 1; byte < 256 && at < length; byte++) {
            strcpy(copy, text);
            copy[at] = (char)byte;
            survives(copy);
        }
    }
}

static void test_all_statics(void **state)
{
    static const char *const contract[] = {"final", "ring", "indexed",
                                           "snapshots"};
    static const char *const pair[] = {"f32/f32", "bf16/f32", "bf16/bf16",
                                       "f16/f32", "f16/f16"};
    char text[GDR_PROBLEM_TEXT];

    (void)state;
    for (int i = 0; i < 4 * 2 * 5 * 2 * 2 * 2 * 2; i++) {
        snprintf(text, sizeof text, "recurrent:%s:%s:%s:k%dv%d%s:%s%s%s",
                 contract[i % 4], i & 4 ? "kv" : "vk", pair[i / 128],
                 8 * (i % 128 + 1), 1 + 6 * i, i & 8 ? ":l2norm" : "",
                 i & 16 ? "fused" : "g", i & 32 ? ":round" : "",
                 i & 64 ? " / b3t2hk4hv8" : "");
        assert_true(survives(text));
        if (i % 64 == 7)
            mutate(text);
    }
    mutate(canonical[0]);
    mutate(canonical[5]);
}

static void test_random_bytes(void **state)
{
    static const char alphabet[] = "recurrentfinalvkbf16/32:k128l2norm:g / bth";
    char text[64];
    uint32_t seed = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        int length = i % 63;

        for (int j = 0; j < length; j++) {
            seed = seed * 1664525u + 1013904223u;
            text[j] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        text[length] = 0;
        survives(text);
    }
}

/* ---- order ---- */

static int by_compare(const void *a, const void *b)
{
    return gdr_problem_compare(a, b);
}

static void test_order(void **state)
{
    enum { N = sizeof canonical / sizeof *canonical };
    gdr_problem p[N + 1];

    (void)state;
    for (int i = 0; i < N; i++)
        p[i] = parsed(canonical[i]);
    p[N] = p[0];
    p[N].x.T = 2;
    qsort(p, N + 1, sizeof *p, by_compare);
    for (int i = 0; i <= N; i++)
        for (int j = 0; j <= N; j++) {
            int order = gdr_problem_compare(&p[i], &p[j]);

            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
}

/* Statics come before extents. */
static void test_order_of_fields(void **state)
{
    gdr_problem a = parsed(canonical[0]), b = a;

    (void)state;
    b.s.round_between_tokens = 1;
    b.x.B = 1;
    assert_true(gdr_problem_compare(&a, &b) < 0);
    b = a;
    b.x.Hv *= 2;
    assert_true(gdr_problem_compare(&a, &b) < 0);
}

/* No field is forgotten. */
static void test_order_sees_every_field(void **state)
{
    static const char *const other[] = {
        "recurrent:ring:vk:bf16/f32:k128v128:l2norm:g / b64t1hk16hv32",
        "recurrent:final:kv:bf16/f32:k128v128:l2norm:g / b64t1hk16hv32",
        "recurrent:final:vk:f16/f32:k128v128:l2norm:g / b64t1hk16hv32",
        "recurrent:final:vk:bf16/bf16:k128v128:l2norm:g / b64t1hk16hv32",
        "recurrent:final:vk:bf16/f32:k64v128:l2norm:g / b64t1hk16hv32",
        "recurrent:final:vk:bf16/f32:k128v64:l2norm:g / b64t1hk16hv32",
        "recurrent:final:vk:bf16/f32:k128v128:g / b64t1hk16hv32",
        "recurrent:final:vk:bf16/f32:k128v128:l2norm:fused / b64t1hk16hv32",
        "recurrent:final:vk:bf16/f32:k128v128:l2norm:g:round / b64t1hk16hv32",
        "recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b63t1hk16hv32",
        "recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b64t2hk16hv32",
        "recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b64t1hk8hv32",
        "recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b64t1hk16hv48",
        "recurrent:final:vk:bf16/f32:k128v128:l2norm:g",
    };
    gdr_problem a = parsed(canonical[0]);

    (void)state;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        gdr_problem b = parsed(other[i]);
        int order = gdr_problem_compare(&a, &b);

        if (order == 0 || order != -gdr_problem_compare(&b, &a))
            fail_msg("not told apart: %s", other[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_blanks),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_longest_text_fits),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_all_statics),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_order_of_fields),
        cmocka_unit_test(test_order_sees_every_field),
    };

    return cmocka_run_group_tests_name("problem", tests, NULL, NULL);
}

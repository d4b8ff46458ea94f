/* Equal tables have equal digests, and everything that dispatch uses counts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../runtime/digest.h"
#include "rows_fixture.h"

#include <string.h>

static void put_step(gdr_rows *rows, uint32_t id, const char *grid,
                     const char *image)
{
    const gdr_step_text text = {"k", grid, "1", "1", "1", "0", "0", "0"};

    assert_int_equal(gdr_rows_put_step(rows, id, 0, &text, "a", image,
                                       (int64_t)strlen(image)),
                     GDR_OK);
}

/* Two rows in either order; `change` names what is different. */
static void digest(int swap, const char *change, char out[GDR_DIGEST_TEXT])
{
    gdr_row row[2] = {fixture_row(FIXTURE_STATICS " / b1t1hk4hv8", 0, "v1"),
                      fixture_row(FIXTURE_STATICS " / b2t1hk4hv8", 0, "v2")};
    gdr_rows *rows;

    if (!strcmp(change, "fingerprint"))
        row[0].origin.fingerprint = "there";
    if (!strcmp(change, "problem"))
        row[0].problem = FIXTURE_STATICS " / b4t1hk4hv8";
    if (!strcmp(change, "reduction"))
        row[0].reduction = "another";
    if (!strcmp(change, "config"))
        row[0].config = "another=1";
    if (!strcmp(change, "time"))
        row[0].time_ns = 123;
    if (!strcmp(change, "run"))
        row[0].run = "another";
    assert_int_equal(gdr_rows_open(&rows), GDR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(gdr_rows_put(rows, &row[i ^ swap]), GDR_OK);
    assert_int_equal(rows->n_entries, 2);
    for (uint32_t i = 0; i < 2; i++) {
        int first = !strcmp(rows->code[i]->variant, "v1");
        put_step(rows, i, first && !strcmp(change, "grid") ? "b*hv" : "b",
                 first && !strcmp(change, "image") ? "Code" : "code");
    }
    assert_int_equal(gdr_rows_digest(rows, out), GDR_OK);
    assert_int_equal(strlen(out), GDR_DIGEST_TEXT - 1);
    gdr_rows_close(rows);
}

static void order_does_not_count(void **state)
{
    char a[GDR_DIGEST_TEXT], b[GDR_DIGEST_TEXT];

    (void)state;
    digest(0, "", a);
    digest(1, "", b);
    assert_string_equal(a, b);
}

static void what_dispatch_uses_counts(void **state)
{
    static const char *const matters[] = {"fingerprint", "problem", "reduction",
                                          "config",      "grid",    "image"};
    static const char *const told[] = {"time", "run"};
    char plain[GDR_DIGEST_TEXT], other[GDR_DIGEST_TEXT];

    (void)state;
    digest(0, "", plain);
    for (size_t i = 0; i < sizeof matters / sizeof *matters; i++) {
        digest(0, matters[i], other);
        if (!strcmp(plain, other))
            fail_msg("%s does not count", matters[i]);
    }
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        digest(0, told[i], other);
        assert_string_equal(plain, other);
    }
}

static void nothing_has_one_too(void **state)
{
    char empty[GDR_DIGEST_TEXT], plain[GDR_DIGEST_TEXT];
    gdr_rows *rows;

    (void)state;
    assert_int_equal(gdr_rows_open(&rows), GDR_OK);
    assert_int_equal(gdr_rows_digest(rows, empty), GDR_OK);
    gdr_rows_close(rows);
    digest(0, "", plain);
    assert_string_not_equal(empty, plain);
    assert_int_equal(gdr_digest(NULL, empty), GDR_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_does_not_count),
        cmocka_unit_test(what_dispatch_uses_counts),
        cmocka_unit_test(nothing_has_one_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_stamp.c - what a build is named by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../tuner/session.h"

#include <string.h>

/* Two machines with one compiler share a database, or have theirs merged: the
 * code of one must not stand for the other's. */
static void other_machines_have_other_stamps(void **state)
{
    gdr_session s = {.compiler = "cc 12", .protocol = "cold"};
    char first[GDR_HASH_TEXT], other[GDR_HASH_TEXT];

    (void)state;
    strcpy(s.info.arch, "x86-64");
    strcpy(s.info.isa, "avx2");
    gdr_session_stamp(&s, "hash", 1, first);
    gdr_session_stamp(&s, "hash", 1, other);
    assert_string_equal(first, other);
    strcpy(s.info.isa, "avx2+avx512f");
    gdr_session_stamp(&s, "hash", 1, other);
    assert_string_not_equal(first, other);
    strcpy(s.info.isa, "avx2");
    strcpy(s.info.arch, "sm_90a");
    gdr_session_stamp(&s, "hash", 1, other);
    assert_string_not_equal(first, other);
    strcpy(s.info.arch, "x86-64");
    gdr_session_stamp(&s, "hash", 2, other);
    assert_string_not_equal(first, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_machines_have_other_stamps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

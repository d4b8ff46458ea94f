/* test_cards.c - who does what, when there are several cards. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/agenda.h"
#include "../tuner/cards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void names(void **state)
{
    static const char *const bad[] = {"0,", ",0", "0,,1", "0,cuda:0", "1,0,1"};
    gdr_cards c;
    char msg[256];

    (void)state;
    assert_false(gdr_cards_several("0"));
    assert_false(gdr_cards_several("cuda:1"));
    assert_true(gdr_cards_several("all"));
    assert_true(gdr_cards_several("0,1"));
    assert_int_equal(gdr_cards_read("0,cuda:2,emu:sm_80", &c, msg, sizeof msg),
                     GDR_OK);
    assert_int_equal(c.n, 3);
    assert_string_equal(c.card[0].name, "cuda:0");
    assert_string_equal(c.card[1].name, "cuda:2");
    assert_string_equal(c.card[2].name, "emu:sm_80");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(gdr_cards_read(bad[i], &c, msg, sizeof msg),
                         GDR_ERR_ARG);
        assert_non_null(strstr(msg, bad[i]));
    }
}

static void shares(void **state)
{
    static const char *const who[] = {"a", "b", "a", "c", "a", "b"};
    static const int want[][2] = {{0, 3}, {0, 2}, {1, 3},
                                  {0, 1}, {2, 3}, {1, 2}};
    gdr_cards c = {.n = 6};

    (void)state;
    for (int i = 0; i < 6; i++)
        snprintf(c.card[i].fingerprint, sizeof c.card[i].fingerprint, "%s",
                 who[i]);
    gdr_cards_share(&c);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(c.card[i].share, want[i][0]);
        assert_int_equal(c.card[i].shares, want[i][1]);
    }
}

/* Groups of so many problems; problem B counts through. */
static gdr_agenda make_agenda(const int *sizes, int n)
{
    gdr_agenda a = {.n = n, .room = n};
    int64_t at = 0;

    a.group = calloc((size_t)n, sizeof *a.group);
    for (int i = 0; i < n; i++) {
        a.group[i] = (gdr_group){.n = sizes[i], .room = sizes[i]};
        a.group[i].problem =
            calloc((size_t)sizes[i] + 1, sizeof *a.group[i].problem);
        for (int k = 0; k < sizes[i]; k++)
            a.group[i].problem[k].x.B = ++at;
        a.problems += sizes[i];
    }
    return a;
}

/* Every problem is somebody's and nobody else's, no part is much larger. A
 * group is whole where there are enough of them. */
static void parts_are_everything(void **state)
{
    static const int sizes[] = {5, 1, 7, 3, 2, 2, 9};

    (void)state;
    for (int n = 1; n <= 7; n++)
        for (int of = 1; of <= 9; of++) {
            int owner[64] = {0};
            int64_t most = 0, all = 0;
            for (int i = 0; i < of; i++) {
                gdr_agenda a = make_agenda(sizes, n);
                int64_t total = a.problems, count = 0;
                gdr_agenda_share(&a, i, of);
                for (int g = 0; g < a.n; g++) {
                    assert_true(a.group[g].n > 0);
                    for (int k = 0; k < a.group[g].n; k++)
                        owner[a.group[g].problem[k].x.B]++;
                    count += a.group[g].n;
                }
                assert_int_equal(count, a.problems);
                most = count > most ? count : most;
                all += count;
                assert_true(total >= count);
                gdr_agenda_free(&a);
            }
            gdr_agenda whole = make_agenda(sizes, n);
            assert_int_equal(all, whole.problems);
            for (int64_t b = 1; b <= whole.problems; b++)
                assert_int_equal(owner[b], 1);
            if (n < of)
                assert_true(most <= (whole.problems + of - 1) / of);
            else
                assert_true(most <= whole.problems / of + 9);
            gdr_agenda_free(&whole);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(shares),
        cmocka_unit_test(parts_are_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

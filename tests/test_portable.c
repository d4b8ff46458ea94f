/* test_portable.c - defaults as PTX: made without a card, loaded by any. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/chip.h"
#include "../tuner/portable.h"
#include "store_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char statics[] = "recurrent:final:vk:bf16/f32:k128v128:l2norm:g";

static void languages(void **state)
{
    static const char *const pairs[][2] = {{"sm_90a", "compute_90"},
                                           {"sm_75", "compute_75"},
                                           {"sm_120a", "compute_120"}};
    char language[32];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            gdr_portable_language(pairs[i][0], language, sizeof language), 1);
        assert_string_equal(language, pairs[i][1]);
    }
    assert_int_equal(gdr_portable_language("x86-64", language, 32), 0);
    assert_int_equal(gdr_portable_language("sm_", language, 32), 0);
}

/* A session for a card that is not there. */
static void open_session(gdr_session *s, const gdr_tune_options *o,
                         const char *db, char *msg, size_t n)
{
    const gdr_chip *chip;
    gdr_device_row row = {"cuda:test", "cuda", "sm_90a", "", "test"};

    memset(s, 0, sizeof *s);
    s->o = o;
    s->msg = msg;
    s->n = n;
    s->target = gdr_target_find("cuda");
    snprintf(s->info.kind, sizeof s->info.kind, "cuda");
    snprintf(s->info.arch, sizeof s->info.arch, "sm_90a");
    assert_int_equal(gdr_chip_find("sm_90a", &chip, msg, n), GDR_OK);
    s->traits = gdr_chip_traits(chip);
    s->traits.kind = "cuda";
    s->info.sms = chip->sms;
    assert_int_equal(gdr_generator_open(NULL, &s->generator), GDR_OK);
    s->store = kit_open(db, GDR_STORE_WRITE);
    assert_ok(s->store, gdr_store_put_device(s->store, &row, &s->device));
}

static int see_default(void *ctx, const gdr_fallback_row *row)
{
    gdr_fallback_row *out = ctx;
    assert_string_equal(row->device.fingerprint, "cuda:ptx:compute_90");
    assert_string_equal(row->device.arch, "ptx");
    assert_string_equal(row->device.isa, "compute_90");
    assert_string_equal(row->dflt.statics, statics);
    out->dflt.max_work = row->dflt.max_work;
    return 0;
}

/* Only the widest default is wanted; the rest of the gate is made up. */
static void makes_a_default(void **state)
{
    kit_place *p = *state;
    gdr_report_options ro = {.quiet = 1, .out = stdout, .err = stderr};
    gdr_tune_options o = {.device = "cuda:0", .effort = "measure", .seed = 1};
    gdr_fallback_row seen = {0};
    char msg[1024] = "", compiler[1024];
    gdr_problem problem;
    gdr_session s;
    gdr_batch *b;

    if (gdr_target_find("cuda")->compiler(compiler, sizeof compiler, msg,
                                          sizeof msg) != GDR_OK) {
        print_message("no NVRTC: %s\n", msg);
        skip();
    }
    assert_int_equal(gdr_report_open(&ro, &o.report), GDR_OK);
    open_session(&s, &o, p->db, msg, sizeof msg);
    assert_int_equal(gdr_problem_parse(statics, &problem, msg, sizeof msg),
                     GDR_OK);
    if (gdr_batch_open(&s, &problem.s, "measure", &b) != GDR_OK)
        fail_msg("%s", msg);
    assert_ok(s.store, gdr_portable_put(b)); /* nobody passed: nothing */
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM fallback"), 0);
    for (int i = 0; i < b->n; i++) {
        b->e[i].outcome = "ok";
        b->e[i].judged = b->e[i].compiled = 1;
    }
    for (int twice = 0; twice < 2; twice++)
        if (gdr_portable_put(b) != GDR_OK)
            fail_msg("%s", msg);
    assert_ok(s.store, gdr_store_each_default(s.store, see_default, &seen));
    assert_true(seen.dflt.max_work > 0);
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM fallback"), 1);
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM step s JOIN image i "
                                    "ON i.hash = s.image WHERE s.isa = "
                                    "'compute_90' AND instr(CAST(i.code AS "
                                    "TEXT), '.target sm_90') > 0"),
                     1);
    gdr_batch_close(b);
    gdr_session_close(&s);
    gdr_report_close(o.report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages),
        cmocka_unit_test_setup_teardown(makes_a_default, kit_place_make,
                                        kit_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

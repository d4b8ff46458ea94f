/* test_tune.c - whole runs: faults become rows, kills lose nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/tune.h"
#include "../tuner/worker.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char tiny[] = "recurrent:final:vk:f32/f32:k16v16:g / b1t1hk1hv2";

/* A database in a folder of its own. */
typedef struct place {
    char folder[64], db[128];
} place;

static int make_place(void **state)
{
    place *p = calloc(1, sizeof *p);

    snprintf(p->folder, sizeof p->folder, "/tmp/gdr-test-tune-XXXXXX");
    if (!mkdtemp(p->folder))
        return -1;
    snprintf(p->db, sizeof p->db, "%s/gdr.db", p->folder);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    place *p = *state;
    char command[160];
    int failed;

    snprintf(command, sizeof command, "rm -rf '%s'", p->folder);
    failed = system(command);
    free(p);
    return failed;
}

/* ---- looking into the database ---- */

/* First column of the first row, as text; "" when there is none. */
static void ask(const char *db, const char *sql, char *out, size_t n)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *row = NULL;

    out[0] = 0;
    /* for writing: what was killed may have left a journal to roll back */
    assert_int_equal(sqlite3_open_v2(db, &handle, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    sqlite3_busy_timeout(handle, 5000);
    if (sqlite3_prepare_v2(handle, sql, -1, &row, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    if (sqlite3_step(row) == SQLITE_ROW && sqlite3_column_text(row, 0))
        snprintf(out, n, "%s", (const char *)sqlite3_column_text(row, 0));
    sqlite3_finalize(row);
    sqlite3_close(handle);
}

static void expect(const char *db, const char *sql, const char *want)
{
    char got[4096];

    ask(db, sql, got, sizeof got);
    if (strcmp(got, want))
        fail_msg("%s: '%s', not '%s'", sql, got, want);
}

/* ---- runs ---- */

static const char *const all_tiny[] = {
    tiny, "recurrent:final:vk:f32/f32:k16v16:g / b2t1hk1hv2"};

static gdr_tune_options options(const char *db, const char *templates)
{
    return (gdr_tune_options){.device = "cpu",
                              .db = db,
                              .only = all_tiny,
                              .n_only = 1,
                              .effort = "quick",
                              .templates = templates,
                              .seed = 1};
}

static gdr_status tune(gdr_tune_options *o, gdr_tune_result *r, char *msg,
                       size_t n)
{
    gdr_report_options ro = {.quiet = 1, .out = stdout, .err = stderr};
    FILE *null = fopen("/dev/null", "we");
    gdr_status st;

    ro.err = ro.out = null;
    assert_int_equal(gdr_report_open(&ro, &o->report), GDR_OK);
    st = gdr_tune(o, r, msg, n);
    gdr_report_close(o->report);
    fclose(null);
    return st;
}

static void tune_well(gdr_tune_options *o, gdr_tune_result *r)
{
    char msg[1024];
    gdr_status st = tune(o, r, msg, sizeof msg);

    if (st != GDR_OK)
        fail_msg("gdr_tune: %s", msg);
}

/* ---- tests ---- */

static void each_fault_is_a_row(void **state)
{
    const char gates[] =
        "select group_concat(fault || outcome, ' ') from (select "
        "substr(v.config, 7, 1) fault, t.outcome from trial t join variant v "
        "on v.hash = t.variant where t.problem not like '% / %' order by 1)";
    const char timings[] =
        "select group_concat(fault || outcome, ' ') from (select "
        "substr(v.config, 7, 1) fault, t.outcome from trial t join variant v "
        "on v.hash = t.variant where t.problem like '% / %' order by 1)";
    const place *p = *state;
    gdr_tune_options o = options(p->db, "tests/faults");
    gdr_tune_result r;

    o.deadline_s = 1; /* and twice that for the second try */
    tune_well(&o, &r);
    assert_int_equal(r.tuned, 1);
    assert_int_equal(r.missing, 0);
    expect(p->db, gates,
           "0ok 1crash 2timeout 3timeout 4wrong 5wrong 6wrong 7compile 8ok");
    expect(p->db, timings, "0ok 8crash");
    expect(p->db,
           "select v.config like 'fault=0 %' from choice c join variant v on "
           "v.hash = c.variant",
           "1");
    expect(p->db, "select count from pruned where reason like '%this fault'",
           "1");
    expect(p->db,
           "select count(*) from trial where outcome <> 'ok' and "
           "(note is null or note = '')",
           "0");
    expect(p->db,
           "select note like '%SIGSEGV%' from trial t join variant v on "
           "v.hash = t.variant where v.config like 'fault=1 %'",
           "1");
    expect(p->db,
           "select group_concat(outcome, ' ') from (select outcome from "
           "quarantine order by 1)",
           "crash crash timeout timeout");
    expect(p->db, "select count(*) from quarantine where note = '' or run <> 1",
           "0");
}

static void nothing_is_done_twice(void **state)
{
    const char trials[] = "select group_concat(run || variant || outcome) from "
                          "(select * from trial order by id)";
    const place *p = *state;
    gdr_tune_options o = options(p->db, "tests/faults/four");
    gdr_tune_result r;
    char before[8192];

    tune_well(&o, &r);
    assert_int_equal(r.tuned, 1);
    ask(p->db, trials, before, sizeof before);
    expect(p->db, "select outcome from run", "done");
    tune_well(&o, &r);
    assert_int_equal(r.current, 1);
    assert_int_equal(r.tuned, 0);
    expect(p->db, trials, before);
    expect(p->db, "select count(*) from run", "1");
    /* another problem of the same static part: no variant is gated again */
    o.n_only = 2;
    tune_well(&o, &r);
    assert_int_equal(r.current, 1);
    assert_int_equal(r.tuned, 1);
    expect(p->db,
           "select count(*) from trial where problem not like '% / %' and run "
           "> 1",
           "0");
    o.fresh = 1;
    o.n_only = 1;
    tune_well(&o, &r);
    assert_int_equal(r.tuned, 1);
    expect(p->db,
           "select count(distinct run) from trial where problem not like "
           "'% / %'",
           "1");
}

static void budget_times_the_default(void **state)
{
    const place *p = *state;
    gdr_tune_options o = options(p->db, "tests/faults/four");
    gdr_tune_result r;

    o.budget_s = 0.01;
    tune_well(&o, &r);
    assert_int_equal(r.tuned, 1);
    expect(p->db, "select variant = fallback from choice", "1");
    expect(p->db, "select count(*) from fallback", "1");
    /* what was cut short is done again when there is time */
    o.budget_s = 0;
    tune_well(&o, &r);
    assert_int_equal(r.tuned, 1);
    tune_well(&o, &r);
    assert_int_equal(r.current, 1);
}

static void dry_run_writes_nothing(void **state)
{
    const place *p = *state;
    gdr_tune_options o = options(p->db, "tests/faults/four");
    gdr_tune_result r;

    o.dry_run = 1;
    tune_well(&o, &r);
    assert_int_equal(access(p->db, F_OK), -1);
}

static void change(const char *db, const char *sql)
{
    sqlite3 *handle = NULL;
    char *error = NULL;

    assert_int_equal(sqlite3_open(db, &handle), SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, &error))
        fail_msg("%s: %s", sql, error);
    sqlite3_close(handle);
}

/* What killed a worker is loaded for no other problem, until --fresh. */
static void quarantined_code_is_not_loaded(void **state)
{
    const place *p = *state;
    gdr_tune_options o = options(p->db, "tests/faults/four");
    gdr_tune_result r;

    tune_well(&o, &r);
    assert_int_equal(r.tuned, 1);
    change(p->db, "insert into quarantine select 1, hash, 'crash', 'made up', "
                  "1, 'now' from image");
    o.n_only = 2;
    tune_well(&o, &r);
    assert_int_equal(r.current, 1);
    expect(p->db,
           "select count(*) from trial t join step s on s.variant = t.variant "
           "join quarantine q on q.image = s.image where t.problem not like "
           "'% / b1%' and t.outcome = 'ok'",
           "0");
    expect(p->db,
           "select count(*) > 0 from trial where outcome = 'crash' and note "
           "like 'quarantined: made up; --fresh%'",
           "1");
    o.n_only = 1;
    o.fresh = 1;
    tune_well(&o, &r);
    assert_int_equal(r.tuned, 1);
    expect(p->db, "select count(*) from quarantine", "0");
}

/* A $CC that is cc, unless there is a file "broken" beside it. */
static void write_compiler(const place *p, const char *broken, char path[160])
{
    FILE *f;

    snprintf(path, 160, "%s/cc", p->folder);
    f = fopen(path, "we");
    assert_non_null(f);
    fprintf(f,
            "#!/bin/sh\n"
            "case \"$*\" in *--version*) exec cc --version; esac\n"
            "[ -e %s ] || exec cc \"$@\"\n"
            "echo Cannot create temporary file; exit 1\n",
            broken);
    fclose(f);
    assert_int_equal(chmod(path, 0755), 0);
}

/* What is wrong with the machine is no outcome of a variant. */
static void broken_compiler_is_no_outcome(void **state)
{
    const place *p = *state;
    gdr_tune_options o = options(p->db, "tests/faults/four");
    const char *cc = getenv("CC");
    char *old = cc ? strdup(cc) : NULL;
    char path[160], broken[160], msg[1024] = "";
    gdr_status st;
    gdr_tune_result r;

    snprintf(broken, sizeof broken, "%s/broken", p->folder);
    write_compiler(p, broken, path);
    fclose(fopen(broken, "we"));
    setenv("CC", path, 1);
    st = tune(&o, &r, msg, sizeof msg);
    unlink(broken);
    if (st == GDR_OK || !strstr(msg, "Cannot create temporary file"))
        fail_msg("status %d: %s", st, msg);
    expect(p->db, "select count(*) from trial", "0");
    tune_well(&o, &r);
    assert_int_equal(r.tuned, 1);
    if (old)
        setenv("CC", old, 1);
    else
        unsetenv("CC");
    free(old);
}

/* Where not even a default passed, failures are not believed for ever. */
static void hopeless_failures_are_tried_again(void **state)
{
    const place *p = *state;
    gdr_tune_options o = options(p->db, "tests/faults/four");
    gdr_tune_result r;

    tune_well(&o, &r);
    change(p->db, "delete from choice; update trial set outcome = 'crash', "
                  "note = 'made up', time_ns = null");
    tune_well(&o, &r);
    assert_int_equal(r.tuned, 1);
    expect(p->db,
           "select count(*) > 0 from trial where outcome = 'ok' and "
           "problem not like '% / %'",
           "1");
}

static void stop_is_an_interrupt(void **state)
{
    const place *p = *state;
    gdr_tune_options o = options(p->db, "tests/faults/four");
    volatile sig_atomic_t stop = 1;
    gdr_tune_result r;

    o.stop = &stop;
    tune_well(&o, &r);
    assert_int_equal(r.interrupted, 1);
    assert_int_equal(r.tuned, 0);
}

static void bad_usage_is_explained(void **state)
{
    static const struct {
        const char *device, *clock, *only, *shapes, *word;
        gdr_status status;
    } cases[] = {
        {"gpu", NULL, tiny, NULL, "use cpu, cuda:N, N or auto",
         GDR_ERR_NO_DEVICE},
        {"cpu", "quartz", tiny, NULL, "script:SEED", GDR_ERR_ARG},
        {"cpu", NULL, "recurrent:final", NULL, "--only", GDR_ERR_PARSE},
        {"cpu", NULL, NULL, "no-such-list", "smoke", GDR_ERR_NOT_FOUND},
        {"cpu", NULL, "recurrent:final:vk:f32/f32:k24v16:g", "smoke",
         "no problem left", GDR_ERR_ARG},
    };
    const place *p = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gdr_tune_options o = options(p->db, NULL);
        gdr_tune_result r;
        char msg[1024] = "";
        gdr_status st;
        o.device = cases[i].device;
        o.clock = cases[i].clock;
        o.only = &cases[i].only;
        o.n_only = cases[i].only != NULL;
        o.shapes = &cases[i].shapes;
        o.n_shapes = cases[i].shapes != NULL;
        st = tune(&o, &r, msg, sizeof msg);
        if (st != cases[i].status || !strstr(msg, cases[i].word))
            fail_msg("case %zu: status %d, '%s' lacks '%s'", i, st, msg,
                     cases[i].word);
    }
}

static void card_without_driver(void **state)
{
    const place *p = *state;
    gdr_tune_options o = options(p->db, NULL);
    gdr_tune_result r;
    char msg[1024] = "";

    o.device = "0";
    assert_int_equal(tune(&o, &r, msg, sizeof msg), GDR_ERR_NO_DEVICE);
    assert_non_null(strstr(msg, "cuda"));
    assert_non_null(strstr(msg, "--device cpu"));
}

/* ---- kills: this program again, as the tuner, under the scripted clock ----
 */

static int run_as_tuner(const char *db)
{
    gdr_tune_options o = options(db, "tests/faults/four");
    gdr_tune_result r;
    char msg[1024];

    o.n_only = 2;
    o.clock = "script:7";
    if (tune(&o, &r, msg, sizeof msg) != GDR_OK)
        fprintf(stderr, "%s\n", msg);
    return r.missing || r.current + r.tuned != 2;
}

static pid_t start_tuner(const char *db)
{
    char *argv[] = {(char *)"test_tune", (char *)"--tune", (char *)db, NULL};
    pid_t pid = 0;

    assert_int_equal(
        posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
    return pid;
}

static int finish(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static const char winners[] =
    "select group_concat(problem || variant || fallback || time_ns) from "
    "(select * from choice order by problem)";

/* Which run each committed trial belongs to: must never change afterwards. */
static const char committed[] =
    "select group_concat(run || ':' || problem || variant, ';') from (select * "
    "from trial order by id)";

static void kill_loses_nothing(void **state)
{
    const place *p = *state;
    char calm[160], want[8192], before[16384], after[16384];
    unsigned seed = (unsigned)getpid();
    int kills = 0;
    const int most = 8;

    snprintf(calm, sizeof calm, "%s/calm.db", p->folder);
    assert_int_equal(finish(start_tuner(calm)), 0);
    ask(calm, winners, want, sizeof want);
    assert_string_not_equal(want, "");

    for (before[0] = 0; kills < most; kills++) {
        pid_t pid = start_tuner(p->db);
        int status, ms = 30 + (int)(rand_r(&seed) % 1500);
        usleep((useconds_t)ms * 1000);
        kill(pid, SIGKILL);
        status = finish(pid);
        if (access(p->db, F_OK) == 0 && kills) {
            ask(p->db, committed, after, sizeof after);
            if (strncmp(before, after, strlen(before)))
                fail_msg("seed %d, kill %d at %d ms: a trial was lost or run "
                         "again:\n%s\n%s",
                         getpid(), kills, ms, before, after);
            memcpy(before, after, sizeof after);
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            break;
    }
    if (kills == most)
        assert_int_equal(finish(start_tuner(p->db)), 0);
    expect(p->db, winners, want);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_fault_is_a_row, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(nothing_is_done_twice, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(budget_times_the_default, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(dry_run_writes_nothing, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(quarantined_code_is_not_loaded,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(broken_compiler_is_no_outcome,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(hopeless_failures_are_tried_again,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(stop_is_an_interrupt, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(bad_usage_is_explained, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(card_without_driver, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(kill_loses_nothing, make_place,
                                        drop_place),
    };

    if (gdr_worker_asked(argc, argv))
        return gdr_worker_main(argc, argv);
    if (argc == 3 && !strcmp(argv[1], "--tune"))
        return run_as_tuner(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

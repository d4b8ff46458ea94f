/*
 * The reports: golden text and JSON from a made-up database, hostile texts and
 * numbers, the progress line on a pseudo-terminal, explain against libgdr.
 */
#include "../runtime/backend.h"
#include "../tuner/columns.h"
#include "../tuner/field.h"
#include "../tuner/hash.h"
#include "../tuner/json.h"
#include "../tuner/race.h"
#include "../tuner/report.h"
#include "../tuner/target.h"
#include "../tuner/text.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define STATICS "recurrent:final:vk:bf16/f32:k128v128:l2norm:g"
#define OTHER "recurrent:ring:vk:bf16/f32:k128v128:l2norm:g"

/* ---- what a test writes to ---- */

typedef struct sink {
    FILE *out, *err;
    char *out_text, *err_text;
    size_t out_n, err_n;
    gdr_report *report;
} sink;

static void open_sink(sink *s, int json, int quiet, int verbose)
{
    s->out = open_memstream(&s->out_text, &s->out_n);
    s->err = open_memstream(&s->err_text, &s->err_n);
    assert_true(s->out && s->err);
    gdr_report_options o = {json, quiet, verbose, s->out, s->err, 0};
    assert_int_equal(gdr_report_open(&o, &s->report), GDR_OK);
}

/* After this the texts are complete. */
static void finish_sink(sink *s)
{
    gdr_report_close(s->report);
    fclose(s->out);
    fclose(s->err);
}

static void close_sink(sink *s)
{
    free(s->out_text);
    free(s->err_text);
}

/* ---- a database ---- */

typedef struct place {
    char dir[64], db[96];
    gdr_store *st;
    int64_t device, run;
    char isa[256];
    void *code;
    size_t bytes;
} place;

static int make_place(void **state)
{
    place *p = calloc(1, sizeof *p);
    if (!p)
        return 1;
    snprintf(p->dir, sizeof p->dir, "/tmp/gdr-report-XXXXXX");
    if (!mkdtemp(p->dir))
        return 1;
    snprintf(p->db, sizeof p->db, "%s/gdr.db", p->dir);
    *state = p;
    return gdr_store_open(p->db, GDR_STORE_WRITE, &p->st) != GDR_OK;
}

static int remove_place(void **state)
{
    place *p = *state;
    gdr_store_close(p->st);
    free(p->code);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", p->dir);
    int failed = system(command);
    free(p);
    return failed;
}

#define assert_ok(p, call)                                                     \
    do {                                                                       \
        gdr_status status_ = (call);                                           \
        if (status_ != GDR_OK)                                                 \
            fail_msg("%s: %s: %s", #call, gdr_strerror(status_),               \
                     gdr_store_errmsg((p)->st));                               \
    } while (0)

static void put_device(place *p, const gdr_device_row *row)
{
    gdr_run_row run = {.version = "0.1.0",
                       .compiler = "cc",
                       .protocol = "test/1",
                       .command = "gdr-tune",
                       .host = "here",
                       .effort = "quick",
                       .seed = 1};
    assert_ok(p, gdr_store_put_device(p->st, row, &p->device));
    run.device = p->device;
    assert_ok(p, gdr_store_begin_run(p->st, &run, &p->run));
}

/* A variant named by its config, with one step of code. */
static void put_variant(place *p, const char *statics, const char *config,
                        char hash[GDR_HASH_TEXT])
{
    const char *texts[] = {statics, config};
    char code_hash[GDR_HASH_TEXT];
    gdr_hash_texts(texts, 2, hash);
    const void *code = p->code ? p->code : "no code";
    size_t bytes = p->code ? p->bytes : 7;
    gdr_hash_bytes(code, bytes, code_hash);
    gdr_variant_row v = {hash, statics, "cpu/recurrent", config, "r1", 1};
    gdr_step_row s = {.variant = hash,
                      .stamp = "s",
                      .entry = "kern",
                      .grid_x = "b*hv",
                      .grid_y = "1",
                      .grid_z = "1",
                      .block = "1",
                      .smem = "0",
                      .workspace = "0",
                      .isa = p->isa,
                      .code = code,
                      .bytes = (int64_t)bytes,
                      .hash = code_hash};
    assert_ok(p, gdr_store_put_variant(p->st, &v));
    assert_ok(p, gdr_store_put_step(p->st, &s));
}

static void put_trial(place *p, const char *problem, const char *hash,
                      const char *outcome, int stage, double time_ns,
                      double spread, const char *note)
{
    gdr_trial_row t = {.run = p->run,
                       .device = p->device,
                       .problem = problem,
                       .variant = hash,
                       .stamp = "s",
                       .outcome = outcome,
                       .error_o = strcmp(outcome, "ok") ? -1 : 0.5,
                       .error_s = -1,
                       .time_ns = time_ns,
                       .spread = spread,
                       .rounds = 8,
                       .note = note,
                       .stage = stage};
    assert_ok(p, gdr_store_put_trial(p->st, &t));
}

/* The winner takes 1 / gain of the default's time. */
static void put_choice(place *p, const char *statics, const char *extents,
                       const char *winner, const char *fallback, double time_ns,
                       double gain)
{
    char problem[GDR_PROBLEM_TEXT], w[GDR_HASH_TEXT], d[GDR_HASH_TEXT];
    snprintf(problem, sizeof problem, "%s / %s", statics, extents);
    put_variant(p, statics, winner, w);
    put_variant(p, statics, fallback, d);
    put_trial(p, problem, d, "ok", 2, time_ns * gain, 0.004, NULL);
    if (strcmp(w, d) != 0)
        put_trial(p, problem, w, "ok", 2, time_ns, 0.003, NULL);
    gdr_choice_row c = {.run = p->run,
                        .device = p->device,
                        .problem = problem,
                        .stamp = "space",
                        .variant = w,
                        .variant_stamp = "s",
                        .fallback = d,
                        .fallback_stamp = "s",
                        .time_ns = time_ns,
                        .spread = 0.003,
                        .gain = gain,
                        .gain_lo = gain * 0.99,
                        .gain_hi = gain * 1.01,
                        .noise = 0.002,
                        .bytes = 4e6,
                        .roofline_bytes_per_s = 25e9};
    assert_ok(p, gdr_store_put_choice(p->st, &c));
}

static void put_made_up(place *p)
{
    put_device(p,
               &(gdr_device_row){"cpu:none:x", "cpu", "none", "", "Zuse Z1"});
    put_choice(p, STATICS, "b64t1hk16hv32", "rows=4 tile_v=32", "rows=2", 2e8,
               1.25);
    put_choice(p, STATICS, "b8t1hk16hv32", "rows=2", "rows=2", 2e5, 1);
    put_choice(p, OTHER, "b8t2hk16hv32", "rows=8 tile_v=8 width=16", "rows=2",
               812, 1.0625);
}

/* ---- text and columns ---- */

static void assert_clean(const char *in, int controls, const char *want)
{
    char *out = gdr_text_clean(in, controls);
    assert_string_equal(out, want);
    free(out);
}

static void test_clean(void **state)
{
    (void)state;
    assert_clean(NULL, 0, "");
    assert_clean("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 0,
                 "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    assert_clean("a\x1b[2Jb\r\n\tc\x7f", 0, "a?[2Jb???c?");
    assert_clean("a\nb", 1, "a\nb");
    assert_clean("\xc2\x9b"
                 "31m",
                 0, "?31m"); /* C1 control */
    assert_clean("\xe2\x80\xae"
                 "txt",
                 0, "?txt");                                   /* reorders */
    assert_clean("\xc0\x80 \xed\xa0\x80 \xff", 1, "?? ??? ?"); /* no UTF-8 */
    assert_clean("cut \xe2\x82", 1, "cut ??");
    assert_clean("\xf4\x90\x80\x80", 1, "????"); /* above 10FFFF */
}

static void test_width(void **state)
{
    (void)state;
    assert_int_equal(gdr_text_columns("abc"), 3);
    assert_int_equal(gdr_text_columns("\xc3\xa9"), 1);
    assert_int_equal(gdr_text_columns("e\xcc\x81"), 1);    /* combining */
    assert_int_equal(gdr_text_columns("\xe6\xbc\xa2"), 2); /* wide */
    char text[] = "\xe6\xbc\xa2\xe6\xbc\xa2";
    gdr_text_cut(text, 3);
    assert_string_equal(text, "\xe6\xbc\xa2");
    gdr_text_cut(text, -1);
    assert_string_equal(text, "");
}

static void test_units(void **state)
{
    (void)state;
    static const struct {
        double ns;
        const char *text;
    } times[] = {{0.5, "0.50 ns"},   {9.994, "9.99 ns"}, {9.996, "10.0 ns"},
                 {999.4, "999 ns"},  {999.6, "1.00 us"}, {21400, "21.4 us"},
                 {1.5e6, "1.50 ms"}, {2e12, "2000 s"},   {1e30, "1e+21 s"},
                 {0, "-"},           {-1, "-"},          {NAN, "-"},
                 {INFINITY, "-"}};
    char text[32];
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        gdr_text_time(times[i].ns, text, sizeof text);
        assert_string_equal(text, times[i].text);
    }
    gdr_text_duration(80, text, sizeof text);
    assert_string_equal(text, "1 min 20 s");
    gdr_text_duration(7500, text, sizeof text);
    assert_string_equal(text, "2 h 5 min");
    gdr_text_duration(NAN, text, sizeof text);
    assert_string_equal(text, "-");
    gdr_text_duration(1e300, text, sizeof text);
    assert_string_equal(text, "-");
    gdr_text_number(DBL_MAX, 1, " GB/s", text, sizeof text);
    assert_string_equal(text, "1.8e+308 GB/s");
}

static void test_columns(void **state)
{
    (void)state;
    gdr_columns *c;
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    assert_int_equal(gdr_columns_open("lrl", &c), GDR_OK);
    gdr_columns_heading(c, "H");
    gdr_columns_row(c, (const char *[]){"a", "10", "x"});
    gdr_columns_row(c, (const char *[]){"\xc3\xa9\xc3\xa9\xc3\xa9", "5", NULL});
    gdr_columns_row(c, (const char *[]){"", "", "\033y"});
    gdr_columns_print(c, 1, 0, f);
    gdr_columns_close(c);
    gdr_columns_close(NULL);
    fclose(f);
    assert_string_equal(text, "H\n"
                              " a    10  x\n"
                              " \xc3\xa9\xc3\xa9\xc3\xa9   5\n"
                              "          ?y\n");
    free(text);
}

/* ---- show ---- */

#define HEAD                                                                   \
    "  extents        config                      time    GB/s     gain  "     \
    "roofline  match\n"

static void test_show_table(void **state)
{
    place *p = *state;
    sink s;
    int64_t n;
    put_made_up(p);
    open_sink(&s, 0, 0, 0);
    assert_ok(p, gdr_report_show(s.report, p->st, NULL, &n));
    assert_int_equal(n, 3);
    finish_sink(&s);
    assert_string_equal(
        s.out_text,
        STATICS " on Zuse Z1 (cpu)\n" HEAD
                "  b8t1hk16hv32   rows=2                    200 us    20.0  "
                "default      80 %  -\n"
                "  b64t1hk16hv32  rows=4 tile_v=32          200 ms     0.0  "
                "  1.25x       0 %  -\n"
                "\n" OTHER " on Zuse Z1 (cpu)\n" HEAD
                "  b8t2hk16hv32   rows=8 tile_v=8 width=16  812 ns  4926.1  "
                "  1.06x   19704 %  -\n");
    assert_string_equal(s.err_text, "");
    close_sink(&s);
}

static void test_show_only(void **state)
{
    place *p = *state;
    sink s;
    int64_t n;
    put_made_up(p);
    open_sink(&s, 0, 0, 0);
    assert_ok(p, gdr_report_show(s.report, p->st, "cpu:other", &n));
    assert_int_equal(n, 0);
    assert_ok(p, gdr_report_show(s.report, p->st, "cpu:none:x", &n));
    assert_int_equal(n, 3);
    finish_sink(&s);
    assert_string_equal(s.err_text, "nothing is tuned yet: run gdr-tune\n");
    close_sink(&s);
}

static void test_show_json(void **state)
{
    place *p = *state;
    sink s;
    int64_t n;
    put_made_up(p);
    open_sink(&s, 1, 0, 0);
    assert_ok(p, gdr_report_show(s.report, p->st, NULL, &n));
    finish_sink(&s);
    const char *first =
        "{\"problem\":\"" STATICS " / b8t1hk16hv32\",\"device\":\"cpu:none:x\","
        "\"kernel\":\"cpu/recurrent\",\"config\":\"rows=2\","
        "\"time_ns\":200000.0,\"spread\":0.003,\"gain\":1.0,"
        "\"gain_lo\":0.99,\"gain_hi\":1.01,\"gbps\":20.0,\"roofline\":0.8,"
        "\"noise\":0.002,\"bytes\":4000000.0,\"regret\":0.0,"
        "\"default\":\"rows=2\",\"match\":null,\"run\":1}\n";
    assert_true(s.out_n > strlen(first));
    assert_memory_equal(s.out_text, first, strlen(first));
    int lines = 0;
    for (char *line = strtok(s.out_text, "\n"); line;
         line = strtok(NULL, "\n")) {
        json_error_t error;
        json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        assert_non_null(o);
        assert_string_equal(json_string_value(json_object_get(o, "default")),
                            "rows=2");
        assert_int_equal(json_object_size(o), 17);
        json_decref(o);
        lines++;
    }
    assert_int_equal(lines, 3);
    close_sink(&s);
}

/* While a problem is being finished, its default is known by its gate alone. */
static void test_winner_attached(void **state)
{
    place *p = *state;
    char w[GDR_HASH_TEXT], d[GDR_HASH_TEXT];
    put_device(p, &(gdr_device_row){"cpu:none:x", "cpu", "none", "", "Zuse"});
    put_variant(p, STATICS, "rows=4", w);
    put_variant(p, STATICS, "rows=2", d);
    put_trial(p, STATICS, d, "ok", 0, 0, 0, NULL);
    gdr_winner_row row = {.choice = {.problem = STATICS " / b8t1hk16hv32",
                                     .variant = w,
                                     .fallback = d},
                          .variant = {.config = "rows=4"},
                          .device = {.fingerprint = "", .kind = ""},
                          .device_id = p->device};
    for (int attached = 0; attached < 2; attached++) {
        sink s;
        open_sink(&s, 1, 0, 0);
        if (attached)
            gdr_report_attach(s.report, p->st);
        gdr_report_winner(s.report, &row);
        finish_sink(&s);
        json_t *o = json_loads(s.out_text, 0, NULL);
        assert_non_null(o);
        const char *config = json_string_value(json_object_get(o, "default"));
        if (attached)
            assert_string_equal(config, "rows=2");
        else
            assert_null(config);
        json_decref(o);
        close_sink(&s);
    }
}

/* On the machine that tuned it, a row matches exactly. */
static void test_show_here(void **state)
{
    place *p = *state;
    char msg[256];
    void *dev;
    sink s;
    int64_t n;
    const gdr_backend *cpu = gdr_backend_find("cpu", 3);
    assert_int_equal(cpu->open("", NULL, &dev, msg, sizeof msg), GDR_OK);
    const gdr_device_info *i = cpu->info(dev);
    put_device(p, &(gdr_device_row){i->fingerprint, i->kind, i->arch, i->isa,
                                    i->name});
    put_choice(p, STATICS, "b8t1hk16hv32", "rows=2", "rows=2", 2e5, 1);
    put_device(p, &(gdr_device_row){"cpu:like", i->kind, i->arch, "", "Like"});
    put_choice(p, STATICS, "b8t1hk16hv32", "rows=2", "rows=2", 2e5, 1);
    open_sink(&s, 0, 0, 0);
    assert_ok(p, gdr_report_show(s.report, p->st, NULL, &n));
    finish_sink(&s);
    assert_non_null(strstr(s.out_text, "  exact\n"));
    assert_non_null(strstr(s.out_text, "  sibling\n"));
    cpu->close(dev);
    close_sink(&s);
}

/* ---- hostile rows ---- */

static void test_hostile(void **state)
{
    (void)state;
    static const double numbers[] = {NAN, INFINITY, -INFINITY, 0,
                                     -1,  DBL_MAX,  DBL_MIN,   1};
    const size_t count = sizeof numbers / sizeof *numbers;
    for (size_t i = 0; i < count * count; i++) {
        double x = numbers[i % count], y = numbers[i / count];
        gdr_winner_row row = {.choice = {.problem = "\x1b]0;x\a\"\\\n\xff",
                                         .variant = "a",
                                         .fallback = "b",
                                         .time_ns = x,
                                         .spread = y,
                                         .gain = x,
                                         .gain_lo = y,
                                         .gain_hi = x,
                                         .noise = y,
                                         .bytes = y,
                                         .roofline_bytes_per_s = x},
                              .variant = {.config = "\xc3", .kernel = "k\x1b"},
                              .device = {.fingerprint = "\x01\x80",
                                         .kind = "",
                                         .arch = "",
                                         .isa = "",
                                         .name = ""}};
        for (int json = 0; json < 2; json++) {
            sink s;
            open_sink(&s, json, 0, 0);
            gdr_report_winner(s.report, &row);
            finish_sink(&s);
            const char *text = json ? s.out_text : s.err_text;
            size_t n = json ? s.out_n : s.err_n;
            assert_true(n > 0 && text[n - 1] == '\n');
            assert_null(strchr(text, '\x1b'));
            assert_null(strstr(text, "nan"));
            assert_null(strstr(text, "inf"));
            if (json) {
                json_t *o = json_loads(text, 0, NULL);
                assert_non_null(o);
                assert_string_equal(
                    json_string_value(json_object_get(o, "problem")),
                    "\x1b]0;x\a\"\\\n?");
                assert_true(json_is_null(json_object_get(o, "default")));
                assert_int_equal(json_is_null(json_object_get(o, "time_ns")),
                                 !isfinite(x));
                json_decref(o);
            }
            close_sink(&s);
        }
    }
}

/* ---- messages and progress ---- */

static void test_levels(void **state)
{
    (void)state;
    static const char *const want[] = {"0\n1\n", "0\n", "0\n1\n2\n"};
    for (int i = 0; i < 3; i++) {
        sink s;
        open_sink(&s, 0, i == 1, i == 2);
        for (int level = 0; level < 3; level++)
            gdr_report_say(s.report, level, "%d", level);
        gdr_report_progress(s.report, &(gdr_progress){.done = 1, .total = 2});
        finish_sink(&s);
        assert_string_equal(s.err_text, want[i]);
        assert_string_equal(s.out_text, "");
        close_sink(&s);
    }
}

static void test_say_lines(void **state)
{
    (void)state;
    sink s;
    open_sink(&s, 0, 0, 0);
    gdr_report_say(s.report, 0, "%s", "a\nb\x1b\n");
    gdr_report_say(s.report, 0, "%s", "");
    finish_sink(&s);
    assert_string_equal(s.err_text, "a\nb?\n\n");
    close_sink(&s);
}

/* What a terminal of 40 columns gets. */
static void on_terminal(void (*act)(gdr_report *), char *text, size_t n)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0) {
        print_message("skipped: no pseudo-terminals here\n");
        skip();
    }
    assert_true(!grantpt(master) && !unlockpt(master));
    FILE *tty = fopen(ptsname(master), "r+");
    assert_non_null(tty);
    struct winsize size = {.ws_row = 25, .ws_col = 40};
    struct termios raw;
    assert_int_equal(ioctl(fileno(tty), TIOCSWINSZ, &size), 0);
    tcgetattr(fileno(tty), &raw);
    raw.c_oflag &= ~(tcflag_t)OPOST;
    tcsetattr(fileno(tty), TCSANOW, &raw);
    gdr_report *r;
    gdr_report_options o = {.out = tty, .err = tty};
    assert_int_equal(gdr_report_open(&o, &r), GDR_OK);
    act(r);
    gdr_report_close(r);
    fflush(tty);
    size_t got = 0;
    fcntl(master, F_SETFL, O_NONBLOCK);
    for (ssize_t k; got < n - 1; got += (size_t)k)
        if ((k = read(master, text + got, n - 1 - got)) <= 0)
            break;
    text[got] = 0;
    fclose(tty);
    close(master);
}

static void show_progress(gdr_report *r)
{
    gdr_progress p = {.phase = "final",
                      .problem = STATICS,
                      .done = 25,
                      .total = 100,
                      .failures = 2,
                      .best_ns = 21400,
                      .elapsed_s = 10,
                      .left_s = -1};
    gdr_report_progress(r, &p);
    p.done = 26; /* too soon: not drawn */
    gdr_report_progress(r, &p);
    gdr_report_say(r, 0, "word");
}

static void test_progress(void **state)
{
    (void)state;
    char text[1024];
    on_terminal(show_progress, text, sizeof text);
    assert_string_equal(text, "\r25/100, 2 failed, best 21.4 us, 30 s le\x1b[K"
                              "\r\x1b[Kword\n");
}

/* ---- explain ---- */

/* Code that loads but computes nothing: explain never launches. */
static void compile_code(place *p)
{
    static const char source[] =
        "struct gdr_recurrent_params;\n"
        "void kern(const struct gdr_recurrent_params *p, long long b,\n"
        "          long long e) { (void)p; (void)b; (void)e; }\n";
    char log[1024];
    gdr_image image;
    const gdr_target *cpu = gdr_target_find("cpu");
    gdr_status s = cpu->compile(source, sizeof source - 1, "", 60, &image, log,
                                sizeof log);
    if (s != GDR_OK)
        fail_msg("%s: %s", gdr_strerror(s), log);
    p->code = image.code;
    p->bytes = image.bytes;
    snprintf(p->isa, sizeof p->isa, "%s", image.isa);
}

static void put_here(place *p)
{
    char msg[256], hash[GDR_HASH_TEXT], problem[GDR_PROBLEM_TEXT];
    void *dev;
    const gdr_backend *cpu = gdr_backend_find("cpu", 3);
    compile_code(p);
    assert_int_equal(cpu->open("", NULL, &dev, msg, sizeof msg), GDR_OK);
    const gdr_device_info *i = cpu->info(dev);
    put_device(p, &(gdr_device_row){i->fingerprint, i->kind, i->arch, i->isa,
                                    i->name});
    cpu->close(dev);
    put_choice(p, STATICS, "b64t1hk16hv32", "rows=4", "rows=2", 2e5, 1.25);
    put_choice(p, STATICS, "b8t1hk16hv32", "rows=2", "rows=2", 2e4, 1);
    snprintf(problem, sizeof problem, "%s / b64t1hk16hv32", STATICS);
    put_variant(p, STATICS, "rows=6", hash);
    put_trial(p, problem, hash, "ok", GDR_RACE_FINALIST, 2.005e5, 0.2, NULL);
    put_variant(p, STATICS, "rows=8", hash);
    put_trial(p, problem, hash, "ok", GDR_RACE_SCREENED, 9e5, 0.01, NULL);
    put_variant(p, STATICS, "rows=16", hash);
    put_trial(p, STATICS, hash, "crash", 0, 0, 0, "SIGSEGV in case b1");
    put_variant(p, STATICS, "rows=32", hash);
    put_trial(p, STATICS, hash, "ok", 0, 0, 0, NULL);
    assert_ok(p, gdr_store_put_pruned(p->st, p->run, STATICS, "cpu/recurrent",
                                      "rows must divide 128", 17));
}

/* The loser ran while the machine was twice as fast: its time says that it
 * won, its rounds that it takes 1.5 times as long. */
static void test_pairs(void **state)
{
    place *p = *state;
    char w[GDR_HASH_TEXT], l[GDR_HASH_TEXT], d[GDR_HASH_TEXT];
    double winner[16], loser[6];
    gdr_field f;
    put_device(p, &(gdr_device_row){"cpu:none:x", "cpu", "none", "", "Zuse"});
    put_variant(p, STATICS, "w", w);
    put_variant(p, STATICS, "l", l);
    put_variant(p, STATICS, "d", d);
    for (int i = 0; i < 16; i++)
        winner[i] = i < 6 ? 50 + i : 100;
    for (int i = 0; i < 6; i++)
        loser[i] = i ? 1.5 * winner[i] : 1;
    gdr_trial_row t = {.run = p->run,
                       .device = p->device,
                       .problem = STATICS " / b8t1hk16hv32",
                       .stamp = "s",
                       .outcome = "ok",
                       .error_o = 0.5,
                       .error_s = -1};
    t.variant = w, t.time_ns = 100, t.stage = GDR_RACE_FINALIST;
    t.samples = winner, t.n_samples = t.rounds = 16;
    assert_ok(p, gdr_store_put_trial(p->st, &t));
    t.variant = d, t.time_ns = 300;
    assert_ok(p, gdr_store_put_trial(p->st, &t));
    t.variant = l, t.time_ns = 79, t.stage = GDR_RACE_HALVED;
    t.samples = loser, t.n_samples = t.rounds = 6;
    assert_ok(p, gdr_store_put_trial(p->st, &t));
    assert_ok(p, gdr_field_load(p->st, p->device, t.problem, &f));
    assert_int_equal(f.n_timed, 3);
    assert_string_equal(f.entry[0].config, "l");
    gdr_field_pair(&f, w, d, 2.5);
    assert_string_equal(f.entry[0].config, "w");
    assert_true(f.entry[0].ratio == 1);
    assert_string_equal(f.entry[1].config, "l");
    assert_true(fabs(f.entry[1].ratio - 1.5) < 1e-9);
    assert_true(f.entry[2].ratio == 2.5);
    gdr_field_free(&f);
}

static gdr_status explain(place *p, const char *text, int json, sink *s)
{
    gdr_problem problem;
    assert_int_equal(gdr_problem_parse(text, &problem, NULL, 0), GDR_OK);
    open_sink(s, json, 0, 0);
    gdr_status status =
        gdr_report_explain(s->report, p->st, p->db, "cpu", &problem);
    finish_sink(s);
    return status;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in:\n%s", part, text);
}

static void test_explain_exact(void **state)
{
    place *p = *state;
    sink s;
    put_here(p);
    assert_int_equal(explain(p, STATICS " / b64t1hk16hv32", 0, &s), GDR_OK);
    assert_string_equal(s.err_text, "");
    assert_has(s.out_text, STATICS " / b64t1hk16hv32\n");
    assert_has(s.out_text, "  plan    cpu/recurrent rows=4\n");
    assert_has(s.out_text, "  match   exact: tuned on this machine");
    assert_has(s.out_text, "  time    200 us +- 0.3 %, 20.0 GB/s, 80 % of");
    assert_has(s.out_text, "1.25x the default rows=2 (95 %: 1.24x to 1.26x)");
    assert_null(strstr(s.out_text, "better"));
    assert_has(s.out_text, "  1.000  200 us   0.3 %  rows=4  the winner\n"
                           "  1.002  200 us  20.0 %  rows=6  as fast, within "
                           "noise; suspicious spread\n"
                           "  1.250  250 us   0.4 %  rows=2  the default: "
                           "slower\n"
                           "  4.500  900 us   1.0 %  rows=8  slower: out after "
                           "the screening\n");
    assert_has(s.out_text, "  crash  rows=16  SIGSEGV in case b1\n");
    assert_has(s.out_text, "  17  cpu/recurrent  rows must divide 128\n");
    assert_has(s.out_text, "1 more are correct and were not timed here");
    close_sink(&s);
}

static void test_explain_other(void **state)
{
    place *p = *state;
    sink s;
    put_here(p);
    assert_int_equal(explain(p, STATICS " / b1000t1hk16hv32", 0, &s), GDR_OK);
    assert_has(s.out_text, "  match     edge: ");
    assert_has(s.out_text, "  tuned as  " STATICS " / b64t1hk16hv32\n");
    char better[512];
    snprintf(better, sizeof better,
             "  better    gdr-tune --db '%s' --only '" STATICS
             " / b1000t1hk16hv32'\n",
             p->db);
    assert_has(s.out_text, better);
    close_sink(&s);
}

static void test_explain_untuned(void **state)
{
    place *p = *state;
    sink s;
    put_here(p);
    assert_int_equal(explain(p, OTHER " / b1t1hk16hv32", 0, &s),
                     GDR_ERR_NO_PLAN);
    assert_has(s.out_text, "generic: nothing is tuned");
    assert_has(s.out_text, " --only '" OTHER " / b1t1hk16hv32'\n");
    assert_has(s.out_text, "  plan    generic/recurrent\n");
    assert_null(strstr(s.out_text, "tuned as"));
    close_sink(&s);
    assert_int_equal(explain(p, STATICS, 0, &s), GDR_ERR_ARG);
    assert_string_equal(s.out_text, "");
    assert_has(s.err_text, "no extents; tuned are:\n  " STATICS " / b8t1");
    close_sink(&s);
    assert_int_equal(explain(p, OTHER, 0, &s), GDR_ERR_ARG);
    assert_has(s.err_text, "has no extents: add them");
    close_sink(&s);
}

static void test_explain_json(void **state)
{
    place *p = *state;
    sink s;
    put_here(p);
    assert_int_equal(explain(p, STATICS " / b64t1hk16hv32", 1, &s), GDR_OK);
    json_t *o = json_loads(s.out_text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    json_t *plan = json_object_get(o, "plan");
    assert_string_equal(json_string_value(json_object_get(plan, "match")),
                        "exact");
    assert_string_equal(json_string_value(json_object_get(plan, "config")),
                        "rows=4");
    assert_true(json_is_null(json_object_get(o, "remedy")));
    assert_int_equal(json_array_size(json_object_get(o, "trials")), 4);
    assert_int_equal(json_array_size(json_object_get(o, "failed")), 1);
    assert_int_equal(json_array_size(json_object_get(o, "pruned")), 1);
    json_decref(o);
    close_sink(&s);
}

#define placed(test)                                                           \
    cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),    cmocka_unit_test(test_width),
        cmocka_unit_test(test_units),    cmocka_unit_test(test_columns),
        placed(test_show_table),         placed(test_show_only),
        placed(test_show_json),          placed(test_winner_attached),
        placed(test_show_here),          cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_levels),   cmocka_unit_test(test_say_lines),
        cmocka_unit_test(test_progress), placed(test_pairs),
        placed(test_explain_exact),      placed(test_explain_other),
        placed(test_explain_untuned),    placed(test_explain_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

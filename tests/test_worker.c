/* test_worker.c - frames that lie, workers that crash, hang, spin and die. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- frames ---- */

static void packet_gives_back(void **state)
{
    gdr_packet p = {0};
    size_t bytes;

    (void)state;
    gdr_packet_put_int(&p, -7);
    gdr_packet_put_real(&p, 0.5);
    gdr_packet_put_text(&p, "text");
    gdr_packet_put_text(&p, NULL);
    gdr_packet_put_bytes(&p, "\0\1", 2);
    assert_int_equal(gdr_packet_get_int(&p), -7);
    assert_true(gdr_packet_get_real(&p) == 0.5);
    assert_string_equal(gdr_packet_get_text(&p), "text");
    assert_string_equal(gdr_packet_get_text(&p), "");
    assert_memory_equal(gdr_packet_get_bytes(&p, &bytes), "\0\1", 2);
    assert_int_equal(bytes, 2);
    assert_int_equal(p.bad, 0);
    assert_int_equal(gdr_packet_get_int(&p), 0);
    assert_int_equal(p.bad, 1);
    gdr_packet_free(&p);
}

/* Every cut of a packet, and every byte of it changed: no read runs over (the
 * sanitizers watch), and a cut is noticed. */
static void packet_may_lie(void **state)
{
    gdr_packet whole = {0}, p;

    (void)state;
    gdr_packet_put_text(&whole, "a text");
    gdr_packet_put_int(&whole, 3);
    gdr_packet_put_bytes(&whole, "abc", 3);
    for (size_t cut = 0; cut < 2 * whole.bytes; cut++) {
        size_t bytes = cut < whole.bytes ? cut : whole.bytes, got;
        uint8_t *copy = malloc(bytes + 1);
        memcpy(copy, whole.data, bytes);
        if (cut >= whole.bytes)
            copy[cut - whole.bytes] ^= 0xff;
        p = (gdr_packet){.data = copy, .bytes = bytes};
        (void)strlen(gdr_packet_get_text(&p));
        gdr_packet_get_int(&p);
        gdr_packet_get_bytes(&p, &got);
        if (cut < whole.bytes)
            assert_int_equal(p.bad, 1);
        free(copy);
    }
    gdr_packet_free(&whole);
}

static void open_pair(gdr_channel *a, gdr_channel *b)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    gdr_channel_init(a, pair[0]);
    gdr_channel_init(b, pair[1]);
}

static void channel_carries_frames(void **state)
{
    gdr_channel a, b;
    gdr_packet p = {0}, got = {0};
    uint32_t type;

    (void)state;
    open_pair(&a, &b);
    gdr_packet_put_text(&p, "hello");
    assert_int_equal(gdr_channel_receive(&b, 0, &type, &got), GDR_ERR_BUSY);
    assert_int_equal(gdr_channel_send(&a, 7, &p, 1), GDR_OK);
    assert_int_equal(gdr_channel_send(&a, 8, NULL, 1), GDR_OK);
    assert_int_equal(gdr_channel_receive(&b, 1, &type, &got), GDR_OK);
    assert_int_equal(type, 7);
    assert_string_equal(gdr_packet_get_text(&got), "hello");
    assert_int_equal(gdr_channel_receive(&b, 1, &type, &got), GDR_OK);
    assert_int_equal(type, 8);
    assert_int_equal(got.bytes, 0);
    gdr_channel_close(&a);
    assert_int_equal(gdr_channel_receive(&b, 1, &type, &got),
                     GDR_ERR_NOT_FOUND);
    assert_int_equal(gdr_channel_send(&b, 7, &p, 1), GDR_ERR_IO);
    gdr_channel_close(&b);
    gdr_packet_free(&p);
    gdr_packet_free(&got);
}

static void channel_refuses_noise(void **state)
{
    static const uint64_t heads[][2] = {
        {0x1122334455667788, 0},          /* no magic */
        {0x0000000147445246, UINT64_MAX}, /* longer than anything */
        {0x0000000147445246, (uint64_t)1 << 40}};

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        gdr_channel a, b;
        gdr_packet got = {0};
        uint32_t type;
        open_pair(&a, &b);
        assert_int_equal(write(a.fd, heads[i], 16), 16);
        assert_int_equal(gdr_channel_receive(&b, 1, &type, &got),
                         GDR_ERR_FORMAT);
        gdr_channel_close(&a);
        gdr_channel_close(&b);
        gdr_packet_free(&got);
    }
}

static void send_gives_up(void **state)
{
    gdr_channel a, b;
    gdr_packet p = {0};
    static char block[1 << 20];

    (void)state;
    open_pair(&a, &b);
    gdr_packet_put_bytes(&p, block, sizeof block);
    assert_int_equal(gdr_channel_send(&a, 1, &p, 0.1), GDR_ERR_BUSY);
    gdr_channel_close(&a);
    gdr_channel_close(&b);
    gdr_packet_free(&p);
}

/* ---- workers ---- */

static const char head[] = "void k(const void *p, long long a, long long b)\n"
                           "{ (void)p; (void)a; (void)b;";

static const gdr_static statics = {
    .size = sizeof statics, .op = GDR_RECURRENT, .K = 16, .V = 16};
static const gdr_problem problem = {
    .s = {.size = sizeof statics, .op = GDR_RECURRENT, .K = 16, .V = 16},
    .x = {1, 1, 1, 1}};

static void make_image(const char *body, gdr_image *image)
{
    char source[4096], log[512];
    int n = snprintf(source, sizeof source, "%s %s }\n", head, body);

    if (gdr_target_find("cpu")->compile(source, (size_t)n, "", 60, image, log,
                                        sizeof log) != GDR_OK)
        fail_msg("%s", log);
}

static gdr_worker *open_worker(double deadline_s)
{
    gdr_worker_options o = {
        .device = "cpu", .threads = 2, .deadline_s = deadline_s};
    gdr_worker *w;
    char msg[256];

    if (gdr_worker_open(&o, &w, msg, sizeof msg) != GDR_OK)
        fail_msg("%s", msg);
    return w;
}

static gdr_status hear(gdr_worker *w, gdr_answer *a)
{
    gdr_status st;

    while ((st = gdr_worker_answer(w, 60, a)) == GDR_ERR_BUSY)
        ;
    return st;
}

static gdr_status load(gdr_worker *w, const gdr_image *image, gdr_answer *a)
{
    gdr_worker_code code = {.n_steps = 1,
                            .text = {{"k", "b*hv", "1", "1", "1", "0", "0"}},
                            .image = {image}};

    assert_int_equal(gdr_worker_load(w, 0, &statics, &code), GDR_OK);
    return hear(w, a);
}

/* Loads a kernel with this body and takes a sample of it. */
static gdr_status sample(const char *body, double deadline_s, gdr_answer *a)
{
    gdr_worker *w = open_worker(deadline_s);
    gdr_image image;
    gdr_status st;

    make_image(body, &image);
    st = hear(w, a);
    if (st == GDR_OK)
        st = load(w, &image, a);
    if (st == GDR_OK) {
        gdr_worker_workload(w, &problem, 1 << 16, 1 << 20, 1);
        st = hear(w, a);
    }
    if (st == GDR_OK) {
        gdr_worker_sample(w, 0, 10, 0);
        st = hear(w, a);
    }
    gdr_worker_close(w);
    free(image.code);
    return st;
}

static void good_kernel_is_timed(void **state)
{
    gdr_answer a;

    (void)state;
    assert_int_equal(sample("", 20, &a), GDR_OK);
    assert_true(a.ns > 0);
    assert_string_equal(a.outcome, "ok");
}

static void death_is_an_outcome(void **state)
{
    static const struct {
        const char *body, *outcome, *word;
        double deadline_s;
    } cases[] = {
        {"*(volatile int *)8 = 1;", "crash", "SIGSEGV", 20},
        {"__builtin_trap();", "crash", "SIG", 20},
        {"extern int fork(void), pause(void); if (fork()) __builtin_trap();"
         "else pause();",
         "crash", "SIG", 1},
        {"for (volatile int x = 0;; x++) ;", "timeout", "silent", 0.5},
        {"extern unsigned sleep(unsigned); for (;;) sleep(9);", "timeout",
         "silent", 0.5},
        {"extern void _exit(int); _exit(5);", "crash", "exit status 5", 20},
        {"extern int getpid(void); extern int kill(int, int);"
         "kill(getpid(), 9);",
         "crash", "out of memory?", 20},
        {"extern int close(int); close(3);"
         "extern unsigned sleep(unsigned); for (;;) sleep(9);",
         "crash", "socket", 20},
        {"extern long write(int, const void *, unsigned long);"
         "for (int i = 0; i < 99; i++) write(3, \"garbage garbage\", 15);",
         "crash", "socket", 20},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gdr_answer a;
        gdr_status st = sample(cases[i].body, cases[i].deadline_s, &a);
        if (st != GDR_ERR_LAUNCH || strcmp(a.outcome, cases[i].outcome) ||
            !strstr(a.note, cases[i].word))
            fail_msg("'%s': status %d, %s: %s", cases[i].body, st, a.outcome,
                     a.note);
        if (a.outside != (strstr(cases[i].body, "kill") != NULL))
            fail_msg("'%s': from outside: %d", cases[i].body, a.outside);
    }
}

/* A frame as bytes in the words of C: what a kernel then writes to the socket
 * in its worker's name. */
static void spell_frame(gdr_request type, const gdr_packet *body, char *text,
                        size_t n)
{
    gdr_channel a, b;
    uint8_t bytes[512];
    size_t at = 0;
    ssize_t got;

    open_pair(&a, &b);
    assert_int_equal(gdr_channel_send(&a, type, body, 1), GDR_OK);
    got = read(b.fd, bytes, sizeof bytes);
    assert_true(got > 0);
    for (ssize_t i = 0; i < got; i++)
        at += (size_t)snprintf(text + at, n - at, "%d,", bytes[i]);
    gdr_channel_close(&a);
    gdr_channel_close(&b);
}

/* The device of a worker has something to say: a race, or that only a new
 * process helps, which is a death whatever it calls itself. */
static void device_has_words(void **state)
{
    static const struct {
        const char *says, *outcome;
        int poisoned;
        gdr_status status;
    } cases[] = {{"race", "race", 0, GDR_ERR_LOAD},
                 {"nonsense", "launch", 0, GDR_ERR_LOAD},
                 {"launch", "crash", 1, GDR_ERR_LAUNCH}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[2048], body[2600];
        gdr_packet p = {0};
        gdr_answer a;
        gdr_status st;
        gdr_packet_put_int(&p, GDR_ERR_LAUNCH);
        gdr_packet_put_text(&p, "illegal address");
        gdr_packet_put_text(&p, cases[i].says);
        gdr_packet_put_int(&p, cases[i].poisoned);
        spell_frame(GDR_SAY_FAILED, &p, bytes, sizeof bytes);
        gdr_packet_free(&p);
        snprintf(body, sizeof body,
                 "extern long write(int, const void *, unsigned long);"
                 "static const unsigned char f[] = {%s};"
                 "write(3, f, sizeof f);"
                 "extern unsigned sleep(unsigned); for (;;) sleep(9);",
                 bytes);
        st = sample(body, 20, &a);
        if (st != cases[i].status || strcmp(a.outcome, cases[i].outcome) ||
            strcmp(a.note, "illegal address") || a.outside)
            fail_msg("%s: status %d, %s: %s", cases[i].says, st, a.outcome,
                     a.note);
    }
}

/* A number is loaded again: the new code is what runs. */
static void load_replaces(void **state)
{
    gdr_worker *w = open_worker(20);
    gdr_image image[2];
    gdr_answer a;

    (void)state;
    make_image("", &image[0]);
    make_image("__builtin_trap();", &image[1]);
    assert_int_equal(hear(w, &a), GDR_OK);
    gdr_worker_workload(w, &problem, 1 << 16, 1 << 20, 1);
    assert_int_equal(hear(w, &a), GDR_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(load(w, &image[i], &a), GDR_OK);
        gdr_worker_sample(w, 0, 10, 0);
        assert_int_equal(hear(w, &a), i ? GDR_ERR_LAUNCH : GDR_OK);
        free(image[i].code);
    }
    gdr_worker_close(w);
}

static void damaged_image_is_no_death(void **state)
{
    char bytes[] = "this is no shared object";
    gdr_image image = {.code = bytes, .bytes = sizeof bytes};
    gdr_worker *w = open_worker(20);
    gdr_answer a;
    gdr_status st;

    (void)state;
    assert_int_equal(hear(w, &a), GDR_OK);
    st = load(w, &image, &a);
    assert_int_not_equal(st, GDR_OK);
    assert_int_not_equal(st, GDR_ERR_LAUNCH);
    assert_string_equal(a.outcome, "launch");
    assert_string_not_equal(a.note, "");
    gdr_worker_roofline(w, 0); /* no workload: an error, and it still lives */
    assert_int_not_equal(hear(w, &a), GDR_ERR_LAUNCH);
    gdr_worker_close(w);
    gdr_worker_close(NULL);
}

static void unknown_device_fails(void **state)
{
    gdr_worker_options o = {.device = "abacus", .deadline_s = 20};
    gdr_worker *w;
    gdr_answer a;
    char msg[256];

    (void)state;
    assert_int_equal(gdr_worker_open(&o, &w, msg, sizeof msg), GDR_OK);
    assert_int_equal(hear(w, &a), GDR_ERR_NO_DEVICE);
    assert_non_null(strstr(a.note, "abacus"));
    gdr_worker_close(w);
}

/* A tuner that is killed while its worker spins in a kernel. */
static void die_as_tuner(const gdr_image *image)
{
    gdr_worker_options o = {.device = "cpu", .deadline_s = 20, .loud = 1};
    gdr_answer a;
    gdr_worker *w;
    char msg[64];

    if (gdr_worker_open(&o, &w, msg, sizeof msg) == GDR_OK &&
        hear(w, &a) == GDR_OK && load(w, image, &a) == GDR_OK) {
        gdr_worker_workload(w, &problem, 1 << 16, 1 << 20, 1);
        hear(w, &a);
        gdr_worker_sample(w, 0, 10, 0);
        gdr_worker_answer(w, 0.2, &a);
    }
    kill(getpid(), SIGKILL);
}

/* A worker outlives its tuner by no more than a moment. */
static void worker_dies_with_tuner(void **state)
{
    int pipes[2], status;
    struct pollfd end;
    gdr_image image;
    pid_t tuner;

    (void)state;
    make_image("for (volatile int x = 0;; x++) ;", &image);
    assert_int_equal(pipe(pipes), 0);
    tuner = fork();
    if (tuner == 0) {
        dup2(pipes[1], 2); /* a loud worker inherits it */
        close(pipes[0]);
        close(pipes[1]);
        die_as_tuner(&image);
    }
    close(pipes[1]);
    while (waitpid(tuner, &status, 0) < 0 && errno == EINTR)
        ;
    /* hangs up when the last holder of the other end is gone */
    end = (struct pollfd){.fd = pipes[0], .events = 0};
    assert_int_equal(poll(&end, 1, 15000), 1);
    assert_true(end.revents & POLLHUP);
    close(pipes[0]);
    free(image.code);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packet_gives_back),
        cmocka_unit_test(packet_may_lie),
        cmocka_unit_test(channel_carries_frames),
        cmocka_unit_test(channel_refuses_noise),
        cmocka_unit_test(send_gives_up),
        cmocka_unit_test(good_kernel_is_timed),
        cmocka_unit_test(death_is_an_outcome),
        cmocka_unit_test(device_has_words),
        cmocka_unit_test(load_replaces),
        cmocka_unit_test(damaged_image_is_no_death),
        cmocka_unit_test(unknown_device_fails),
        cmocka_unit_test(worker_dies_with_tuner),
    };

    if (gdr_worker_asked(argc, argv))
        return gdr_worker_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

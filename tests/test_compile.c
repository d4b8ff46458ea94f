/* test_compile.c - the system's compiler, its absence, its misbehaviour, the
 * queue, and the memory of the cpu target. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/channel.h"
#include "../tuner/compile_cc.h"
#include "../tuner/compile_queue.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char good[] = "int answer(void) { return 42; }\n";

typedef struct place {
    char folder[64];
    char *path, *cc; /* the environment to restore */
} place;

static int make_place(void **state)
{
    place *p = calloc(1, sizeof *p);

    snprintf(p->folder, sizeof p->folder, "/tmp/gdr-test-cc-XXXXXX");
    p->path = strdup(getenv("PATH"));
    p->cc = getenv("CC") ? strdup(getenv("CC")) : NULL;
    unsetenv("CC");
    *state = p;
    return mkdtemp(p->folder) ? 0 : -1;
}

static int drop_place(void **state)
{
    place *p = *state;
    char command[160];

    setenv("PATH", p->path, 1);
    if (p->cc)
        setenv("CC", p->cc, 1);
    else
        unsetenv("CC");
    snprintf(command, sizeof command, "rm -rf '%s'", p->folder);
    free(p->path);
    free(p->cc);
    free(p);
    return system(command);
}

/* An executable script in the place's folder; *path gets where it is. */
static void write_script(const place *p, const char *name, const char *text,
                         char path[160])
{
    FILE *f;

    snprintf(path, 160, "%s/%s", p->folder, name);
    f = fopen(path, "we");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s\n", text);
    fclose(f);
    assert_int_equal(chmod(path, 0755), 0);
}

static gdr_status compile(const char *source, double limit_s, void **code,
                          size_t *bytes, char *log, size_t n)
{
    return gdr_cc_compile(source, strlen(source), limit_s, code, bytes, NULL,
                          log, n);
}

/* Loads the code and calls its answer(). */
static int answer_of(const void *code, size_t bytes)
{
    int fd = memfd_create("answer", 0), x;
    char path[64];
    void *lib;
    int (*answer)(void);

    assert_int_equal(write(fd, code, bytes), (ssize_t)bytes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(lib);
    *(void **)&answer = dlsym(lib, "answer");
    assert_non_null(answer);
    x = answer();
    dlclose(lib);
    close(fd);
    return x;
}

static void compiles(void **state)
{
    char log[256], *macros = NULL;
    size_t bytes;
    void *code;

    (void)state;
    assert_int_equal(gdr_cc_compile(good, strlen(good), 60, &code, &bytes,
                                    &macros, log, sizeof log),
                     GDR_OK);
    assert_int_equal(answer_of(code, bytes), 42);
    assert_non_null(strstr(macros, "#define __STDC__ 1"));
    free(macros);
    free(code);
}

static void refuses_with_words(void **state)
{
    char log[256];
    size_t bytes;
    void *code;

    (void)state;
    assert_int_equal(
        compile("this is not C\n", 60, &code, &bytes, log, sizeof log),
        GDR_ERR_COMPILE);
    assert_null(code);
    assert_non_null(strstr(log, "error"));
    assert_int_equal(strlen(log) < sizeof log, 1);
}

static void missing_compiler_is_explained(void **state)
{
    const place *p = *state;
    char text[256], msg[1024];

    setenv("PATH", p->folder, 1);
    assert_int_equal(gdr_cc_identity(text, sizeof text, msg, sizeof msg),
                     GDR_ERR_COMPILE);
    assert_non_null(strstr(msg, "cc, gcc, clang"));
    assert_non_null(strstr(msg, "install gcc"));
    setenv("CC", "no-such-compiler -x", 1);
    assert_int_equal(gdr_cc_identity(text, sizeof text, msg, sizeof msg),
                     GDR_ERR_COMPILE);
    assert_non_null(strstr(msg, "no-such-compiler"));
    setenv("PATH", p->path, 1); /* cc is there, but was not asked for */
    assert_int_equal(gdr_cc_identity(text, sizeof text, msg, sizeof msg),
                     GDR_ERR_COMPILE);
    assert_non_null(strstr(msg, "CC is 'no-such-compiler -x'"));
    setenv("CC", p->folder, 1);
    assert_int_equal(gdr_cc_identity(text, sizeof text, msg, sizeof msg),
                     GDR_ERR_COMPILE);
    unsetenv("PATH");
    assert_int_equal(gdr_cc_identity(text, sizeof text, msg, sizeof msg),
                     GDR_ERR_COMPILE);
}

static void cc_may_hold_arguments(void **state)
{
    const place *p = *state;
    char script[160], command[256], text[512], msg[256], log[256];
    size_t bytes;
    void *code;

    write_script(p, "wrap", "exec \"$@\"", script);
    snprintf(command, sizeof command, "  %s cc  ", script);
    setenv("CC", command, 1);
    assert_int_equal(gdr_cc_identity(text, sizeof text, msg, sizeof msg),
                     GDR_OK);
    assert_non_null(strstr(text, "-O3"));
    assert_int_equal(compile(good, 60, &code, &bytes, log, sizeof log), GDR_OK);
    assert_int_equal(answer_of(code, bytes), 42);
    free(code);
}

/* A compiler without -march=native gets another chance. */
static void native_is_optional(void **state)
{
    const place *p = *state;
    char script[160], log[256];
    size_t bytes;
    void *code;

    write_script(
        p, "old",
        "for a; do case $a in -march=native|-mcpu=native)\n"
        "echo \"error: bad value for '-march=' switch\" >&2; exit 1;;\n"
        "esac; done; exec cc \"$@\"",
        script);
    setenv("CC", script, 1);
    assert_int_equal(compile(good, 60, &code, &bytes, log, sizeof log), GDR_OK);
    free(code);
}

/* What fails at everything says nothing about the source. */
static void broken_compiler_is_told_apart(void **state)
{
    const place *p = *state;
    char script[160], log[256], msg[256];
    size_t bytes;
    void *code;

    write_script(p, "full", "echo no room; echo for you; exit 1", script);
    setenv("CC", script, 1);
    assert_int_equal(compile(good, 60, &code, &bytes, log, sizeof log),
                     GDR_ERR_IO);
    assert_non_null(strstr(log, "no room"));
    assert_int_equal(gdr_cc_identity(log, sizeof log, msg, sizeof msg),
                     GDR_ERR_COMPILE);
    assert_non_null(strstr(msg, "no room"));
    assert_null(strchr(msg, '\n'));
    setenv("CC", "echo hi", 1);
    assert_int_equal(compile(good, 60, &code, &bytes, log, sizeof log),
                     GDR_ERR_IO);
    assert_non_null(strstr(log, "hi"));
    /* the kernel's out-of-memory killer */
    write_script(p, "big", "echo Killed signal terminated program cc1; exit 1",
                 script);
    setenv("CC", script, 1);
    assert_int_equal(compile(good, 60, &code, &bytes, log, sizeof log),
                     GDR_ERR_NO_MEMORY);
}

/* Does a process run? One that is killed and not yet reaped does not. */
static int runs(long pid)
{
    char path[64], state = 'Z';
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    f = fopen(path, "re");
    if (f && fscanf(f, "%*d %*s %c", &state) != 1)
        state = 'Z';
    if (f)
        fclose(f);
    return state != 'Z';
}

/* The same of the one whose number is in a file, given two seconds to die. */
static int lives(const char *path)
{
    FILE *f = fopen(path, "re");
    long pid = 0;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld", &pid), 1);
    fclose(f);
    for (int i = 0; i < 200 && runs(pid); i++)
        usleep(10000);
    return runs(pid);
}

static void slow_compiler_is_killed_whole(void **state)
{
    const place *p = *state;
    char script[160], log[512], number[160];
    double begin_s = gdr_now();
    size_t bytes;
    void *code;

    snprintf(number, sizeof number, "%s/pid", p->folder);
    snprintf(log, sizeof log, "sleep 1000 & echo $! >%s; wait", number);
    write_script(p, "slow", log, script);
    setenv("CC", script, 1);
    assert_int_equal(compile(good, 0.5, &code, &bytes, log, sizeof log),
                     GDR_ERR_IO);
    assert_non_null(strstr(log, "0.5 s"));
    assert_true(gdr_now() - begin_s < 100);
    assert_false(lives(number));
}

static void chatty_compiler_is_bounded(void **state)
{
    const place *p = *state;
    char script[160], log[100];
    size_t bytes;
    void *code;

    write_script(p, "chatty",
                 "i=0; while [ $i -lt 20000 ]; do echo word word; "
                 "i=$((i+1)); done >&2; exit 1",
                 script);
    setenv("CC", script, 1);
    assert_int_equal(compile(good, 60, &code, &bytes, log, sizeof log),
                     GDR_ERR_IO);
    assert_int_equal(strlen(log), sizeof log - 1);
}

/* ---- queue ---- */

enum { JOBS = 6 };

static gdr_compile_job *new_job(const char *source, const void *owner)
{
    gdr_compile_job *job = calloc(1, sizeof *job);

    job->source = source;
    job->bytes = strlen(source);
    job->owner = owner;
    return job;
}

static gdr_compile_job *wait_job(gdr_compile_queue *q)
{
    gdr_compile_job *job;

    for (int i = 0; i < 6000; i++) {
        if ((job = gdr_compile_queue_next(q)))
            return job;
        usleep(10000);
    }
    fail_msg("nothing was compiled within a minute");
    return NULL;
}

static void queue_gives_all_back(void **state)
{
    gdr_compile_queue *q;
    int ok = 0, bad = 0;

    (void)state;
    assert_int_equal(gdr_compile_queue_open(gdr_target_find("cpu"), 2, 60, &q),
                     GDR_OK);
    for (int i = 0; i < JOBS; i++)
        gdr_compile_queue_put(q, new_job(i % 3 ? good : "not C", NULL));
    for (int i = 0; i < JOBS; i++) {
        gdr_compile_job *job = wait_job(q);
        *(job->status == GDR_OK ? &ok : &bad) += 1;
        assert_int_equal(job->status == GDR_OK, job->image.code != NULL);
        free(job->image.code);
        free(job);
    }
    assert_int_equal(ok, 4);
    assert_int_equal(bad, 2);
    assert_null(gdr_compile_queue_next(q));
    gdr_compile_queue_close(q);
}

static void paused_queue_rests(void **state)
{
    gdr_compile_job *job[JOBS];
    gdr_compile_queue *q;
    int mine, theirs;

    (void)state;
    assert_int_equal(gdr_compile_queue_open(gdr_target_find("cpu"), 2, 60, &q),
                     GDR_OK);
    gdr_compile_queue_pause(q);
    for (int i = 0; i < JOBS; i++) {
        job[i] = new_job(good, i % 2 ? &mine : &theirs);
        gdr_compile_queue_put(q, job[i]);
    }
    usleep(300000);
    assert_null(gdr_compile_queue_next(q));
    gdr_compile_queue_withdraw(q, &mine);
    gdr_compile_queue_resume(q);
    for (int i = 0; i < JOBS / 2; i++) {
        gdr_compile_job *one = wait_job(q);
        assert_ptr_equal(one->owner, &theirs);
        free(one->image.code);
    }
    gdr_compile_queue_close(q);
    for (int i = 0; i < JOBS; i++)
        free(job[i]);
}

/* What nobody waits for any more is not waited for. */
static void unwanted_compilers_end(void **state)
{
    const place *p = *state;
    char script[160], text[640], number[160];
    double begin_s = gdr_now();
    gdr_compile_job *job = new_job(good, state);

    snprintf(number, sizeof number, "%s/pid", p->folder);
    snprintf(text, sizeof text, "echo $$ >%s.new; mv %s.new %s; sleep 1000",
             number, number, number);
    write_script(p, "slow", text, script);
    setenv("CC", script, 1);
    for (int closing = 0; closing < 2; closing++) {
        gdr_compile_queue *q;
        assert_int_equal(
            gdr_compile_queue_open(gdr_target_find("cpu"), 1, 500, &q), GDR_OK);
        gdr_compile_queue_put(q, job);
        for (int i = 0; i < 3000 && access(number, F_OK); i++)
            usleep(10000);
        if (!closing)
            gdr_compile_queue_withdraw(q, state);
        gdr_compile_queue_close(q);
        assert_false(lives(number));
        unlink(number);
    }
    assert_true(gdr_now() - begin_s < 400);
    free(job);
}

/* ---- memory ---- */

/* The signal that touching p[at] ends a child with; 0: none. */
static int touch(char *p, long at)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        ((volatile char *)p)[at] = 1;
        _exit(0);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void memory_has_guards(void **state)
{
    static const size_t sizes[] = {1, 64, 4096, 100000, 5 << 20};
    const gdr_target *t = gdr_target_find("cpu");

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        long end = (long)((sizes[i] + 63) / 64 * 64);
        void *p;
        assert_int_equal(t->alloc(NULL, sizes[i], &p), GDR_OK);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 1, sizes[i]);
        assert_int_equal(touch(p, 0), 0);
        assert_int_equal(touch(p, end), SIGSEGV);
        assert_int_equal(touch(p, -4096), SIGSEGV);
        t->free(NULL, p);
    }
    t->free(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(compiles, make_place, drop_place),
        cmocka_unit_test_setup_teardown(refuses_with_words, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(missing_compiler_is_explained,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(cc_may_hold_arguments, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(native_is_optional, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(broken_compiler_is_told_apart,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(slow_compiler_is_killed_whole,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(chatty_compiler_is_bounded, make_place,
                                        drop_place),
        cmocka_unit_test(queue_gives_all_back),
        cmocka_unit_test(paused_queue_rests),
        cmocka_unit_test_setup_teardown(unwanted_compilers_end, make_place,
                                        drop_place),
        cmocka_unit_test(memory_has_guards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

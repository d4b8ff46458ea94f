/*
 * test_store_fault.c - kill -9, no memory, no room, no permission, a second
 * writer: the error is clear, nothing acknowledged is lost, and the next call
 * works once the trouble is over.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "../db/store_internal.h"
#include "store_kit.h"
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- memory that runs out ---- */

/* SQLite's allocator, and ours through it: request number fail_at fails, and
 * with `forever` all after it too. */
static struct {
    sqlite3_mem_methods real;
    long requests, fail_at, live;
    int forever;
} memory;

static int memory_fails(void)
{
    long n = ++memory.requests;
    if (memory.fail_at == 0)
        return 0;
    return n == memory.fail_at || (memory.forever && n > memory.fail_at);
}

static void *memory_malloc(int bytes)
{
    void *p = memory_fails() ? NULL : memory.real.xMalloc(bytes);
    memory.live += p != NULL;
    return p;
}

static void memory_free(void *p)
{
    memory.live -= p != NULL;
    memory.real.xFree(p);
}

static void *memory_realloc(void *p, int bytes)
{
    return memory_fails() ? NULL : memory.real.xRealloc(p, bytes);
}

static int memory_replace(void **state)
{
    (void)state;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.real) != SQLITE_OK)
        return 1;
    sqlite3_mem_methods m = memory.real;
    m.xMalloc = memory_malloc;
    m.xFree = memory_free;
    m.xRealloc = memory_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &m) != SQLITE_OK;
}

/* One of everything that a handle can be asked. *acked counts the puts that
 * returned GDR_OK. */
static gdr_status one_of_everything(const char *path, gdr_store_mode mode,
                                    int i, int *acked)
{
    gdr_store *st;
    kit_rows r;
    gdr_trial_row trial;
    gdr_choice_row choice;
    *acked = 0;
    kit_rows_make(&r, i);
    gdr_status status = gdr_store_open(path, mode, &st);
    if (status == GDR_OK && mode == GDR_STORE_WRITE) {
        status = kit_put_run(st, &r);
        if (status == GDR_OK)
            status = kit_put_rest(st, &r);
        *acked = status == GDR_OK;
        if (status == GDR_OK)
            status = gdr_store_sweep(st);
        if (status == GDR_OK)
            status = gdr_store_end_run(st, r.trial.run, "done");
    }
    if (status == GDR_OK)
        status = gdr_store_get_trial(st, 1, r.problem, r.hash, "stamp", &trial);
    if (status == GDR_OK)
        status = gdr_store_get_choice(st, 1, r.problem, &choice);
    if (status == GDR_OK)
        status = kit_read_all(st);
    if (status != GDR_OK && gdr_store_errmsg(st)[0] == 0)
        status = GDR_ERR_INTERNAL; /* an error without words */
    gdr_store_close(st);
    return status;
}

/* One scenario with one failure. 0, or the number of all requests if they are
 * fewer than n. */
static long fail_once(const char *path, gdr_store_mode mode, long n)
{
    int acked;
    long live = memory.live;
    memory.requests = 0;
    memory.fail_at = n;
    gdr_status status = one_of_everything(path, mode, 3, &acked);
    long requests = memory.requests;
    int reached = requests >= n;
    memory.fail_at = 0;
    if (memory.live != live)
        fail_msg("allocation %ld: %ld blocks leaked", n, memory.live - live);
    if (status != GDR_OK && (status != GDR_ERR_NO_MEMORY || !reached))
        fail_msg("allocation %ld: status %d", n, (int)status);
    if (acked && n % 4 == 0 &&
        kit_ask(path, "SELECT count(*) FROM choice WHERE problem"
                      " GLOB '*/ b4t1*'") != 1)
        fail_msg("allocation %ld: an acknowledged row is lost", n);
    if (n % 16 == 0 && access(path, F_OK) == 0 && !kit_sound(path))
        fail_msg("allocation %ld: the file is damaged", n);
    return reached ? 0 : requests;
}

/* Steps the failure through every request of a scenario until none is left to
 * fail. Returns how many there are. Ordinary runs pass over most of the
 * thousands inside SQLite, and take turns at one failure and at all from there
 * on. */
static long step_through(const char *path, gdr_store_mode mode,
                         const unsigned char *file, size_t bytes)
{
    int thorough = getenv("GDR_THOROUGH") != NULL;
    for (long n = 1;; n += thorough || n < 200 ? 1 : 13) {
        for (int forever = 0; forever < 2; forever++) {
            if (!thorough && forever != (n & 1))
                continue;
            if (file)
                kit_save(path, file, bytes);
            else
                unlink(path);
            memory.forever = forever;
            long all = fail_once(path, mode, n);
            if (all)
                return all;
        }
    }
}

static void test_no_memory_anywhere(void **state)
{
    kit_place *p = *state;
    size_t bytes;
    kit_database(p->db, 5);
    unsigned char *file = kit_load(p->db, &bytes);
    long created = step_through(p->db, GDR_STORE_WRITE, NULL, 0);
    long written = step_through(p->db, GDR_STORE_WRITE, file, bytes);
    long read = step_through(p->db, GDR_STORE_READ, file, bytes);
    print_message("requests: %ld new file, %ld write, %ld read\n", created,
                  written, read);
    free(file);
}

/* ---- kill -9 ---- */

/* Puts rows i, i + 1, ... and tells of each through the pipe. */
static void put_until_killed(const char *path, int i, int pipe_fd)
{
    gdr_store *st;
    kit_rows r;
    if (gdr_store_open(path, GDR_STORE_WRITE, &st) != GDR_OK)
        _exit(1);
    kit_rows_make(&r, 0);
    if (kit_put_run(st, &r) != GDR_OK)
        _exit(2);
    for (;; i++) {
        kit_rows next;
        kit_rows_make(&next, i);
        kit_rows_join(&next, r.trial.device, r.trial.run);
        if (kit_put_rest(st, &next) != GDR_OK)
            _exit(3);
        if (write(pipe_fd, &i, sizeof i) != sizeof i)
            _exit(4);
    }
}

/* Starts a writer, kills it some microseconds later (with `settled`: after its
 * first report); the last row that it reported, or `before`. */
static int kill_a_writer(const char *path, int before, int settled,
                         useconds_t after)
{
    int fds[2], i, last = before, status;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        put_until_killed(path, before + 1, fds[1]);
    }
    close(fds[1]);
    if (settled && read(fds[0], &i, sizeof i) == sizeof i)
        last = i;
    usleep(after);
    kill(child, SIGKILL);
    while (read(fds[0], &i, sizeof i) == sizeof i)
        last = i;
    close(fds[0]);
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return last;
}

static void check_acknowledged(gdr_store *st, int last)
{
    for (int i = 0; i <= last; i++) {
        kit_rows r;
        gdr_trial_row trial;
        gdr_choice_row choice;
        kit_rows_make(&r, i);
        assert_ok(
            st, gdr_store_get_trial(st, 1, r.problem, r.hash, "stamp", &trial));
        assert_memory_equal(trial.samples, r.samples, sizeof r.samples);
        assert_ok(st, gdr_store_get_choice(st, 1, r.problem, &choice));
        assert_string_equal(choice.variant, r.hash);
    }
    assert_ok(st, kit_read_all(st));
}

static void test_kill_9(void **state)
{
    kit_place *p = *state;
    char journal[112];
    int last = -1, hot = 0, rounds = getenv("GDR_THOROUGH") ? 200 : 16;
    snprintf(journal, sizeof journal, "%s-journal", p->db);
    srand(1);
    for (int k = 0; k < rounds; k++) {
        useconds_t after = 1000 + (useconds_t)(rand() % 20000);
        last = kill_a_writer(p->db, last, k % 4 != 0, after);
        hot += access(journal, F_OK) == 0;
        if (access(p->db, F_OK) != 0)
            continue; /* killed before there was a file */
        /* reader and writer take turns at being the first to come after */
        gdr_store *st;
        gdr_status status = gdr_store_open(
            p->db, k % 2 ? GDR_STORE_READ : GDR_STORE_WRITE, &st);
        if (status == GDR_OK)
            check_acknowledged(st, last);
        else if (last >= 0 || status != GDR_ERR_FORMAT)
            fail_msg("kill %d: status %d: %s", k, (int)status,
                     gdr_store_errmsg(st));
        gdr_store_close(st);
        assert_true(kit_sound(p->db));
    }
    print_message("%d kills, %d journals left behind, %d rows\n", rounds, hot,
                  last + 1);
}

/* A writer that dies with half a transaction in the file itself. */
static void leave_hot_journal(const char *path)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        gdr_store *st;
        if (gdr_store_open(path, GDR_STORE_WRITE, &st) != GDR_OK)
            _exit(1);
        sqlite3_exec(st->db,
                     "PRAGMA cache_size = 1; BEGIN;"
                     "DELETE FROM choice; DELETE FROM trial;"
                     "UPDATE image SET code = zeroblob(100000)",
                     0, 0, 0);
        kill(getpid(), SIGKILL);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
}

static void test_dead_writer_is_undone(void **state)
{
    kit_place *p = *state;
    static const gdr_store_mode modes[] = {GDR_STORE_READ, GDR_STORE_WRITE};
    char journal[112];
    snprintf(journal, sizeof journal, "%s-journal", p->db);
    kit_database(p->db, 3);
    for (int m = 0; m < 2; m++) {
        leave_hot_journal(p->db);
        assert_int_equal(access(journal, F_OK), 0);
        gdr_store *st = kit_open(p->db, modes[m]);
        check_acknowledged(st, 2);
        kit_rows r;
        kit_rows_make(&r, 0);
        if (modes[m] == GDR_STORE_READ)
            assert_fails(st, gdr_store_put_variant(st, &r.variant),
                         GDR_ERR_READONLY, p->db);
        gdr_store_close(st);
        assert_int_not_equal(access(journal, F_OK), 0);
    }
}

/* ---- no permission ---- */

/* Runs check in a child without root's powers. It returns NULL or what is
 * wrong. */
static void as_nobody(const char *(*check)(kit_place *p), kit_place *p)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 &&
            (setgroups(0, NULL) || setgid(65534) || setuid(65534)))
            _exit(77);
        const char *wrong = check(p);
        if (wrong)
            fprintf(stderr, "as nobody: %s\n", wrong);
        _exit(wrong != NULL);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("cannot become nobody here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* NULL if opening fails in this way. */
static const char *refuses(const char *path, gdr_store_mode mode,
                           gdr_status status, const char *text)
{
    static char wrong[1200];
    gdr_store *st;
    gdr_status got = gdr_store_open(path, mode, &st);
    snprintf(wrong, sizeof wrong, "status %d, not %d: %s", (int)got,
             (int)status, gdr_store_errmsg(st));
    int good = got == status && strstr(gdr_store_errmsg(st), text) &&
               strstr(gdr_store_errmsg(st), path);
    gdr_store_close(st);
    return good ? NULL : wrong;
}

static const char *reads(const char *path)
{
    static char wrong[1200];
    gdr_store *st;
    gdr_status status = gdr_store_open(path, GDR_STORE_READ, &st);
    if (status == GDR_OK)
        status = kit_read_all(st);
    snprintf(wrong, sizeof wrong, "status %d: %s", (int)status,
             gdr_store_errmsg(st));
    gdr_store_close(st);
    return status == GDR_OK ? NULL : wrong;
}

static const char *check_read_only(kit_place *p)
{
    const char *wrong = reads(p->db);
    return wrong ? wrong
                 : refuses(p->db, GDR_STORE_WRITE, GDR_ERR_READONLY,
                           "choose another file");
}

static void test_read_only_file(void **state)
{
    kit_place *p = *state;
    kit_database(p->db, 2);
    assert_int_equal(chmod(p->dir, 0777), 0);
    assert_int_equal(chmod(p->db, 0444), 0);
    as_nobody(check_read_only, p);
}

static void test_read_only_folder(void **state)
{
    kit_place *p = *state;
    kit_database(p->db, 2);
    assert_int_equal(chmod(p->dir, 0555), 0);
    assert_int_equal(chmod(p->db, 0644), 0);
    as_nobody(check_read_only, p);
}

static const char *check_no_folder(kit_place *p)
{
    char path[160];
    snprintf(path, sizeof path, "%s/new/gdr.db", p->dir);
    const char *wrong = refuses(path, GDR_STORE_WRITE, GDR_ERR_READONLY,
                                "cannot make the folder");
    return wrong ? wrong
                 : refuses(p->db, GDR_STORE_WRITE, GDR_ERR_READONLY,
                           "folder cannot be written");
}

static void test_folder_that_cannot_be_made(void **state)
{
    kit_place *p = *state;
    assert_int_equal(chmod(p->dir, 0555), 0);
    as_nobody(check_no_folder, p);
}

static const char *check_unreadable(kit_place *p)
{
    const char *wrong =
        refuses(p->db, GDR_STORE_READ, GDR_ERR_IO, "check the permissions");
    return wrong ? wrong
                 : refuses(p->db, GDR_STORE_WRITE, GDR_ERR_IO,
                           "check the permissions");
}

static void test_unreadable_file(void **state)
{
    kit_place *p = *state;
    kit_database(p->db, 1);
    assert_int_equal(chmod(p->dir, 0777), 0);
    assert_int_equal(chmod(p->db, 0), 0);
    as_nobody(check_unreadable, p);
}

/* What is half written is not read. */
static const char *check_hot(kit_place *p)
{
    const char *wrong =
        refuses(p->db, GDR_STORE_READ, GDR_ERR_READONLY, "its writer died");
    return wrong;
}

static void test_dead_writer_in_a_read_only_folder(void **state)
{
    kit_place *p = *state;
    char journal[112];
    snprintf(journal, sizeof journal, "%s-journal", p->db);
    kit_database(p->db, 3);
    leave_hot_journal(p->db);
    assert_int_equal(chmod(p->db, 0444), 0);
    assert_int_equal(chmod(journal, 0444), 0);
    assert_int_equal(chmod(p->dir, 0555), 0);
    as_nobody(check_hot, p);
    assert_int_equal(chmod(p->db, 0666 & ~2), 0);
    as_nobody(check_hot, p);
    assert_int_equal(chmod(p->dir, 0755), 0);
    assert_int_equal(chmod(journal, 0644), 0);
    gdr_store *st = kit_open(p->db, GDR_STORE_READ);
    check_acknowledged(st, 2);
    gdr_store_close(st);
}

/* ---- a medium of its own ---- */

/* A small tmpfs over the test's folder, seen by this process alone and gone
 * with it; skips aloud where it may not be. */
static void mount_small(const kit_place *p, const char *options)
{
    if (unshare(CLONE_NEWNS) ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("gdr", p->dir, "tmpfs", 0, options)) {
        print_message("no tmpfs here: %s\n", strerror(errno));
        skip();
    }
}

static void test_read_only_medium(void **state)
{
    kit_place *p = *state;
    mount_small(p, "size=1m");
    kit_database(p->db, 2);
    int failed = mount("gdr", p->dir, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL);
    const char *wrong = failed ? "cannot remount" : check_read_only(p);
    umount2(p->dir, MNT_DETACH);
    if (wrong)
        fail_msg("%s", wrong);
}

/* ---- no room ---- */

/* Puts rows until one fails; how many went in. */
static int put_until_full(gdr_store *st, kit_rows *first, int from)
{
    for (int i = from;; i++) {
        kit_rows r;
        kit_rows_make(&r, i);
        kit_rows_join(&r, 1, first->trial.run);
        gdr_status status = kit_put_rest(st, &r);
        if (status == GDR_OK && i < 100000)
            continue;
        if (status != GDR_ERR_FULL ||
            !strstr(gdr_store_errmsg(st), "the disk is full"))
            fail_msg("row %d: status %d: %s", i, (int)status,
                     gdr_store_errmsg(st));
        return i;
    }
}

/* Fills, checks that all is there, makes room, goes on. */
static void check_full(kit_place *p, void (*make_room)(kit_place *p))
{
    kit_rows r;
    gdr_store *st = kit_open(p->db, GDR_STORE_WRITE);
    kit_rows_make(&r, 0);
    assert_ok(st, kit_put_run(st, &r));
    int n = put_until_full(st, &r, 0);
    assert_true(n > 2);
    check_acknowledged(st, n - 1);
    assert_int_equal(put_until_full(st, &r, n), n); /* still full */
    make_room(p);
    assert_true(kit_sound(p->db));
    kit_rows next;
    kit_rows_make(&next, n);
    kit_rows_join(&next, 1, r.trial.run);
    assert_ok(st, kit_put_rest(st, &next));
    check_acknowledged(st, n);
    gdr_store_close(st);
    assert_true(kit_sound(p->db));
}

static void lift_limit(kit_place *p)
{
    struct rlimit limit;
    (void)p;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void test_file_size_limit(void **state)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 150000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    check_full(*state, lift_limit);
}

static int lift_limit_anyway(void **state)
{
    lift_limit(*state);
    return kit_place_remove(state);
}

static void grow(kit_place *p)
{
    mount("gdr", p->dir, "tmpfs", MS_REMOUNT, "size=4m");
}

static void test_full_medium(void **state)
{
    kit_place *p = *state;
    mount_small(p, "size=256k");
    check_full(p, grow);
}

/* A medium with no room for the first page. */
static void test_full_from_the_start(void **state)
{
    kit_place *p = *state;
    char filler[96];
    static char zeros[65536];
    mount_small(p, "size=64k");
    snprintf(filler, sizeof filler, "%s/filler", p->dir);
    kit_save(filler, zeros, sizeof zeros);
    const char *wrong =
        refuses(p->db, GDR_STORE_WRITE, GDR_ERR_FULL, "the disk is full");
    if (wrong)
        fail_msg("%s", wrong);
    grow(p);
    kit_database(p->db, 2);
    assert_true(kit_sound(p->db));
}

static int unmount_and_remove(void **state)
{
    kit_place *p = *state;
    umount2(p->dir, MNT_DETACH);
    return kit_place_remove(state);
}

/* ---- two at once ---- */

static void test_busy(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    kit_database(p->db, 1);
    gdr_store *st = kit_open(p->db, GDR_STORE_WRITE);
    kit_rows_make(&r, 1);
    assert_ok(st, kit_put_run(st, &r));
    sqlite3_busy_timeout(st->db, 20);
    gdr_store *other = kit_open(p->db, GDR_STORE_WRITE);
    assert_ok(other, gdr_store_exec(other, "BEGIN EXCLUSIVE"));
    assert_fails(st, gdr_store_put_variant(st, &r.variant), GDR_ERR_BUSY,
                 "another process holds the database");
    assert_non_null(strstr(gdr_store_errmsg(st), p->db));
    assert_fails(st, gdr_store_put_step(st, &r.step), GDR_ERR_BUSY, "--db");
    assert_fails(st, gdr_store_sweep(st), GDR_ERR_BUSY, "--db");
    gdr_choice_row c;
    assert_fails(st, gdr_store_get_choice(st, 1, r.problem, &c), GDR_ERR_BUSY,
                 "--db");
    assert_ok(other, gdr_store_exec(other, "COMMIT"));
    assert_ok(st, kit_put_rest(st, &r));
    gdr_store_close(other);
    gdr_store_close(st);
    assert_true(kit_sound(p->db));
}

/* A reader holds writers up, not the other way round for long; its snapshot
 * stays as it was. */
static void test_reader_sees_one_snapshot(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    kit_database(p->db, 1);
    gdr_store *reader = kit_open(p->db, GDR_STORE_READ);
    gdr_store *writer = kit_open(p->db, GDR_STORE_WRITE);
    sqlite3_busy_timeout(writer->db, 20);
    kit_rows_make(&r, 1);
    assert_fails(writer, gdr_store_put_variant(writer, &r.variant),
                 GDR_ERR_BUSY, "let it end");
    assert_ok(reader, kit_read_all(reader));
    gdr_store_close(reader);
    assert_ok(writer, gdr_store_put_variant(writer, &r.variant));
    gdr_store_close(writer);
}

/* n writers make one file and put rows of their own, all at the same time. */
static void test_writers_at_once(void **state)
{
    kit_place *p = *state;
    enum { WRITERS = 3, ROWS = 6 };
    pid_t child[WRITERS];
    for (int w = 0; w < WRITERS; w++) {
        child[w] = fork();
        assert_true(child[w] >= 0);
        if (child[w])
            continue;
        gdr_store *st;
        gdr_status status = gdr_store_open(p->db, GDR_STORE_WRITE, &st);
        for (int i = 0; status == GDR_OK && i < ROWS; i++) {
            kit_rows r;
            kit_rows_make(&r, w * ROWS + i);
            status = kit_put_run(st, &r);
            if (status == GDR_OK)
                status = kit_put_rest(st, &r);
        }
        if (status != GDR_OK)
            fprintf(stderr, "writer %d: %s\n", w, gdr_store_errmsg(st));
        _exit(status != GDR_OK);
    }
    int failed = 0, status;
    for (int w = 0; w < WRITERS; w++) {
        waitpid(child[w], &status, 0);
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    assert_int_equal(failed, 0);
    gdr_store *st = kit_open(p->db, GDR_STORE_READ);
    check_acknowledged(st, WRITERS * ROWS - 1);
    gdr_store_close(st);
    assert_true(kit_sound(p->db));
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM device"), 1);
}

#define AT(place, test, end) cmocka_unit_test_setup_teardown(test, place, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT(kit_place_make_fast, test_no_memory_anywhere, kit_place_remove),
        AT(kit_place_make, test_kill_9, kit_place_remove),
        AT(kit_place_make, test_dead_writer_is_undone, kit_place_remove),
        AT(kit_place_make, test_read_only_file, kit_place_remove),
        AT(kit_place_make, test_read_only_folder, kit_place_remove),
        AT(kit_place_make, test_folder_that_cannot_be_made, kit_place_remove),
        AT(kit_place_make, test_unreadable_file, kit_place_remove),
        AT(kit_place_make, test_dead_writer_in_a_read_only_folder,
           kit_place_remove),
        AT(kit_place_make, test_read_only_medium, unmount_and_remove),
        AT(kit_place_make_fast, test_file_size_limit, lift_limit_anyway),
        AT(kit_place_make, test_full_medium, unmount_and_remove),
        AT(kit_place_make, test_full_from_the_start, unmount_and_remove),
        AT(kit_place_make, test_busy, kit_place_remove),
        AT(kit_place_make, test_reader_sees_one_snapshot, kit_place_remove),
        AT(kit_place_make, test_writers_at_once, kit_place_remove),
    };
    return cmocka_run_group_tests(tests, memory_replace, NULL);
}

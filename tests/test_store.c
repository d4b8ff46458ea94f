/*
 * test_store.c - the database: every row comes back as it went in, and nothing
 * that happens to the process, the disk or the file loses or invents one.
 */
#include "../db/store.h"
#include "../db/store_internal.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <math.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a folder of its own for each test ---- */

typedef struct place {
    char dir[64], db[96];
} place;

static int place_make(void **state)
{
    place *p = calloc(1, sizeof *p);
    if (!p)
        return 1;
    snprintf(p->dir, sizeof p->dir, "/tmp/gdr-store-XXXXXX");
    if (!mkdtemp(p->dir))
        return 1;
    snprintf(p->db, sizeof p->db, "%s/gdr.db", p->dir);
    *state = p;
    return 0;
}

static int place_remove(void **state)
{
    place *p = *state;
    char command[192];
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", p->dir,
             p->dir);
    int failed = system(command);
    free(p);
    return failed;
}

/* ---- rows ---- */

#define STATICS "recurrent:final:vk:bf16/f32:k128v128:l2norm:g"
#define PROBLEM STATICS " / b64t1hk16hv32"

static const gdr_device_row device = {"cpu:x86-64:avx2+fma:cores=2", "cpu",
                                      "x86-64", "avx2+fma", "A Processor"};

static gdr_run_row run_of(int64_t dev)
{
    return (gdr_run_row){dev,
                         "0.1.0",
                         "gcc 12.2.0 -O3",
                         "cold-state/1",
                         "gdr-tune --shapes smoke",
                         "Linux",
                         "quick",
                         7};
}

static void hash_of(const void *data, size_t bytes, char hex[65])
{
    unsigned char digest[32];
    crypto_hash_sha256(digest, data, bytes);
    sodium_bin2hex(hex, 65, digest, sizeof digest);
}

/* The hash of variant i. */
static const char *variant_hash(int i, char hex[65])
{
    char source[32];
    snprintf(source, sizeof source, "source %d", i);
    hash_of(source, strlen(source), hex);
    return hex;
}

static gdr_variant_row variant_of(const char *hash)
{
    return (gdr_variant_row){hash,     STATICS, "cpu/recurrent",
                             "rows=4", "w16",   1};
}

static const double samples[] = {1234.5, 1233.25, 1300};

static gdr_trial_row trial_of(int64_t run, int64_t dev, const char *hash)
{
    return (gdr_trial_row){.run = run,
                           .device = dev,
                           .problem = PROBLEM,
                           .variant = hash,
                           .stamp = "stamp",
                           .outcome = "ok",
                           .error_o = 0.25,
                           .error_s = -1,
                           .time_ns = 1234.5,
                           .spread = 0.01,
                           .rounds = 3,
                           .samples = samples,
                           .n_samples = 3,
                           .note = "a note",
                           .stage = 2};
}

static gdr_step_row step_of(const char *variant, const char *code,
                            char hash[65])
{
    hash_of(code, strlen(code), hash);
    return (gdr_step_row){variant,
                          "stamp",
                          0,
                          "kern",
                          "b*hv",
                          "1",
                          "1",
                          "1",
                          "0",
                          "0",
                          "avx2+fma",
                          code,
                          (int64_t)strlen(code),
                          hash};
}

static gdr_choice_row choice_of(int64_t run, int64_t dev, const char *variant)
{
    return (gdr_choice_row){
        run,    dev,  PROBLEM, "space", variant, "stamp", variant, "stamp",
        1234.5, 0.01, 1,       1,       1,       0.004,   1e6,     2e10};
}

static gdr_store *open_or_fail(const char *path, gdr_store_mode mode)
{
    gdr_store *st;
    gdr_status status = gdr_store_open(path, mode, &st);
    if (status != GDR_OK)
        fail_msg("open: %s: %s", "", gdr_store_errmsg(st));
    return st;
}

#define assert_ok(st, call)                                                    \
    do {                                                                       \
        gdr_status assert_ok_status = (call);                                  \
        if (assert_ok_status != GDR_OK)                                        \
            fail_msg("%s: %d: %s", #call, (int)assert_ok_status,               \
                     gdr_store_errmsg(st));                                    \
    } while (0)

/* ---- round trips ---- */

static void test_trial_comes_back(void **state)
{
    place *p = *state;
    gdr_store *st = open_or_fail(p->db, GDR_STORE_WRITE);
    int64_t dev = 0, run = 0;
    char hash[65];
    assert_ok(st, gdr_store_put_device(st, &device, &dev));
    gdr_run_row r = run_of(dev);
    assert_ok(st, gdr_store_begin_run(st, &r, &run));
    gdr_variant_row v = variant_of(variant_hash(0, hash));
    assert_ok(st, gdr_store_put_variant(st, &v));
    gdr_trial_row in = trial_of(run, dev, hash), out;
    assert_ok(st, gdr_store_put_trial(st, &in));
    assert_ok(st, gdr_store_get_trial(st, dev, PROBLEM, hash, "stamp", &out));
    assert_string_equal(out.note, in.note);
    assert_memory_equal(out.samples, samples, sizeof samples);
    char image[65];
    gdr_step_row s = step_of(hash, "code", image);
    assert_ok(st, gdr_store_put_step(st, &s));
    gdr_choice_row c = choice_of(run, dev, hash);
    assert_ok(st, gdr_store_put_choice(st, &c));
    gdr_store_close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_trial_comes_back, place_make,
                                        place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

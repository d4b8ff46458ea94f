/*
 * store_kit.h - what the tests of the store share: a folder per test, rows to
 * put, ways to look at the file behind the store's back.
 */
#ifndef GDR_STORE_KIT_H
#define GDR_STORE_KIT_H

#include "../db/store.h"

typedef struct kit_place {
    char dir[64], db[96];
} kit_place;

/* cmocka's setup and teardown: *state is a kit_place. _fast: in memory, where
 * there is such a place. */
int kit_place_make(void **state);
int kit_place_make_fast(void **state);
int kit_place_remove(void **state);

#define KIT_STATICS "recurrent:final:vk:bf16/f32:k128v128:l2norm:g"
#define KIT_PROBLEM KIT_STATICS " / b64t1hk16hv32"

typedef struct kit_rows {
    char hash[65], image[65], problem[80], code[64], note[64];
    double samples[4];
    gdr_device_row device;
    gdr_run_row run;
    gdr_variant_row variant;
    gdr_trial_row trial;
    gdr_step_row step;
    gdr_compiled_row compiled;
    gdr_quarantine_row quarantine;
    gdr_choice_row choice;
    gdr_default_row dflt;
} kit_rows;

/* The rows of variant i; those with equal i are equal. */
void kit_rows_make(kit_rows *r, int i);

/* Sets the ids of device and run in all rows. */
void kit_rows_join(kit_rows *r, int64_t device, int64_t run);

/* Puts the device and the run, and sets their ids in all rows. */
gdr_status kit_put_run(gdr_store *st, kit_rows *r);
/* Puts all the other rows. Stops at the first failure. */
gdr_status kit_put_rest(gdr_store *st, const kit_rows *r);

/* Opens or fails the test. */
gdr_store *kit_open(const char *path, gdr_store_mode mode);

/* A new database at path with rows 0 .. n - 1. */
void kit_database(const char *path, int n);

/* Does sqlite3 find the file sound, foreign keys included? Prints if not. */
int kit_sound(const char *path);

/* The first cell of the first row as an integer; -1 on an error. */
int64_t kit_ask(const char *path, const char *sql);
/* Runs SQL that breaks rules: checks ignored, foreign keys off. */
void kit_vandalise(const char *path, const char *sql);

/* A whole file in memory (malloc'd) and back. */
unsigned char *kit_load(const char *path, size_t *bytes);
void kit_save(const char *path, const void *data, size_t bytes);

/* Reads everything, so that each cell is looked at. */
gdr_status kit_read_all(gdr_store *st);

#define assert_ok(st, call)                                                    \
    do {                                                                       \
        gdr_status assert_ok_status = (call);                                  \
        if (assert_ok_status != GDR_OK)                                        \
            fail_msg("%s: status %d: %s", #call, (int)assert_ok_status,        \
                     gdr_store_errmsg(st));                                    \
    } while (0)

/* The call fails with this status and a message that has `text` in it. */
#define assert_fails(st, call, status, text)                                   \
    do {                                                                       \
        gdr_status assert_fails_status = (call);                               \
        if (assert_fails_status != (status))                                   \
            fail_msg("%s: status %d, not %s: %s", #call,                       \
                     (int)assert_fails_status, #status, gdr_store_errmsg(st)); \
        if (!strstr(gdr_store_errmsg(st), text))                               \
            fail_msg("%s: no \"%s\" in: %s", #call, text,                      \
                     gdr_store_errmsg(st));                                    \
    } while (0)

#endif

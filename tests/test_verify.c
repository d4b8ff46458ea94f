/*
 * test_verify.c - the gate against kernels with bad manners: what they write,
 * where, how often and depending on what. Each must be caught, and the note
 * must name the place.
 */
#include "bug_kernel.h"
#include "../tuner/cases.h"
#include "../tuner/cover.h"
#include "../tuner/oracle.h"
#include "../runtime/reference.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define FINAL32 "recurrent:final:vk:f32/f32:k32v16:l2norm:g"
#define ROUND32 "recurrent:final:vk:f32/f32:k32v16:l2norm:g:round"
#define RING16 "recurrent:ring:kv:bf16/bf16:k32v16:l2norm:g:round"
#define INDEXED16 "recurrent:indexed:vk:bf16/f32:k32v16:g"
#define SNAPSHOTS16 "recurrent:snapshots:vk:f16/f16:k32v16:fused"

static const struct {
    bug bug;
    const char *problem, *outcome, *what;
} planted[] = {
    {BUG_O_PAST, FINAL32, "wrong", "o: 0 bytes past its end: written"},
    {BUG_O_PAST, SNAPSHOTS16, "wrong", "o: 0 bytes past its end: written"},
    {BUG_S_BEFORE, FINAL32, "wrong", "state: 4 bytes before its start"},
    {BUG_S_BEFORE, RING16, "wrong", "state: 2 bytes before its start"},
    {BUG_PADDING, FINAL32, "wrong", "its padding: written"},
    {BUG_SPARE, FINAL32, "wrong", "hv 0 k 0 v 8: written"},
    {BUG_SPARE, RING16, "wrong", "ring 0 hv 0 k 16 v 0: written"},
    {BUG_INPUT, FINAL32, "wrong", "qkv: byte 4: an input was changed"},
    {BUG_INPUT, INDEXED16, "wrong", "qkv: byte 2: an input was changed"},
    {BUG_BATCH, FINAL32, "wrong", "depends on the batch"},
    {BUG_BATCH, INDEXED16, "wrong", "depends on the batch"},
    {BUG_PACKET, ROUND32, "wrong", "a packet differs from its tokens"},
    {BUG_PACKET, "recurrent:ring:vk:f32/f32:k32v16:l2norm:g:round", "wrong",
     "a packet differs from its tokens"},
    {BUG_PACKET, "recurrent:snapshots:vk:f32/f32:k32v16:l2norm:g:round",
     "wrong", "a packet differs from its tokens"},
    {BUG_FLAKY, FINAL32, "wrong", "not repeatable: launch "},
    {BUG_NAN, FINAL32, "wrong", "got nan"},
    {BUG_NAN, SNAPSHOTS16, "wrong", "got nan"},
    {BUG_INDEX, FINAL32, "wrong", " of b"},
    {BUG_INDEX, RING16, "wrong", " of b"},
    {BUG_INDEX64, FINAL32, "wrong", "o of b 2"},
    {BUG_INDEX64, SNAPSHOTS16, "wrong", "state: slot"},
    {BUG_MIN, FINAL32, "wrong", "o of b 1"},
    {BUG_MIN, INDEXED16, "wrong", "state: slot"},
    {BUG_INVALID_O, FINAL32, "wrong", "o of b 0 t 0 hv 0 v 0: expected 0"},
    {BUG_INVALID_O, INDEXED16, "wrong", "o of b "},
    {BUG_INVALID_S, FINAL32, "wrong", "state: slot"},
    {BUG_INVALID_S, SNAPSHOTS16, "wrong", "state: slot"},
    {BUG_WORKSPACE, FINAL32, "wrong", "workspace: 0 bytes past its end"},
    {BUG_STALE, FINAL32, "wrong", "not repeatable"},
    {BUG_REFUSES, FINAL32, "launch", "the launch failed"},
};

static void catches_bad_manners(void **state)
{
    int missed = 0;
    (void)state;
    for (size_t i = 0; i < sizeof planted / sizeof *planted; i++) {
        bug_kernel k;
        bug_kernel_open(&k, planted[i].problem, planted[i].bug, STYLE_TREE);
        gdr_verdict v = bug_kernel_verify(&k, 1, 0);
        gdr_recipe_unload(&k.recipe);
        if (strcmp(v.outcome, planted[i].outcome) == 0 &&
            strstr(v.note, planted[i].what) && strstr(v.note, "; case ") &&
            strstr(v.note, "; seed 1"))
            continue;
        missed++;
        print_error("bug %d in %s: expected \"%s\", got %s: %s\n",
                    (int)planted[i].bug, planted[i].problem, planted[i].what,
                    v.outcome, v.note);
    }
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(catches_bad_manners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

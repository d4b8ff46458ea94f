/*
 * machine.h - the Lua state of a generator: its limits of memory and time, and
 * the one way into it. Inside generator/ only.
 */
#ifndef GDR_MACHINE_H
#define GDR_MACHINE_H

#include "files.h"

#include <lua.h>

struct gdr_generator {
    gdr_alloc_fn alloc;
    void *ctx;
    lua_State *L;
    char *folder; /* NULL: none */
    gdr_bytes scratch;
    size_t lua_bytes;
    int over_limit; /* why the last allocation failed: the limit, or memory */
    int64_t instructions, instruction_limit;
    double cpu_end_s;
    gdr_status status; /* wanted by host.fail */
    char subject[256]; /* the script that runs, for messages */
    char errmsg[2048];
};

/* Makes g->L and loads the libraries. The rest of g is set. */
gdr_status gdr_machine_start(gdr_generator *g);

/* Runs fn(request) protected: all Lua that can fail runs inside. On success its
 * results are on the stack, for the caller to pop; on failure the stack is as
 * before and errmsg says why. Outside only calls that never allocate may be
 * made. */
gdr_status gdr_machine_enter(gdr_generator *g, lua_CFunction fn, void *request,
                             int results);

/* Inside enter: pushes the function `name` of generator/<module>.lua. */
void gdr_machine_push(lua_State *L, const char *module, const char *name);

/* Inside enter: a new budget of instructions for the script `subject`. */
void gdr_machine_limit(gdr_generator *g, int64_t millions, const char *subject);

/* Inside enter: pushes "file:line: " of the nth innermost function (1, 2, ...)
 * that others wrote; the subject when a tail call left none. */
void gdr_machine_place(lua_State *L, int64_t nth);

gdr_generator *gdr_machine_generator(lua_State *L);

/* Inside enter: pushes the table `host`, what scripts here ask of C. */
int gdr_host_push(lua_State *L);

#endif

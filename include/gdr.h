/*
 * gdr.h - the public interface of libgdr: find the fastest known kernel for a
 * gated delta rule call in nanoseconds and launch it, with no compiler.
 *
 * Life cycle, each noun made from the one before it:
 *
 *     gdr_open      -> gdr          a tuned database, read once
 *     gdr_device_open -> gdr_device a CPU or a card
 *     gdr_select    -> gdr_set      all plans of one static problem (per layer
 * kind) gdr_set_find  -> gdr_plan     the plan for one call's extents (every
 * call) gdr_launch                    runs it
 *
 * Close in the reverse order; closing NULL is harmless. Every function that
 * can fail returns a gdr_status; gdr_errmsg() then says what, where and what to
 * do about it.
 *
 * Threads: gdr_set_find, gdr_plan_describe and gdr_launch may be called from
 * any number of threads at once, on one set or many, with any streams.
 * Everything else that takes the same gdr handle must not overlap; other
 * handles are free. A process may hold any number of handles, devices and sets.
 *
 * Fork: a child may go on with a cpu device, whose pool is made anew. A card's
 * context does not survive: a child opens a device of its own. What was read
 * from the database serves both.
 *
 * The operation, for one value head and one token (float64 in gdr_reference):
 *
 *     S = exp(g) S;  d = beta (v - k'S);  S = S + k (x) d;  o = q'S
 *
 * with q scaled, and q and k l2-normalised where the problem says so. Source:
 * the gated delta rule of Yang et al., "Gated Delta Networks" (2024), with the
 * conventions of flash-linear-attention, lmdeploy and vLLM.
 */
#ifndef GDR_H
#define GDR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define GDR_API
#else
#define GDR_API __attribute__((visibility("default")))
#endif

#define GDR_VERSION "0.1.0"

/* ---- status ------------------------------------------------------------- */

typedef enum gdr_status {
    GDR_OK = 0,
    GDR_ERR_ARG,       /* an argument is wrong; the message names it */
    GDR_ERR_PARSE,     /* a text does not parse; the message says where */
    GDR_ERR_NO_MEMORY, /* an allocation failed */
    GDR_ERR_IO,        /* a file could not be read or written */
    GDR_ERR_NOT_FOUND, /* a file, row or name does not exist */
    GDR_ERR_FORMAT,    /* not a gdr database, or a damaged one */
    GDR_ERR_NEWER,     /* the database was written by a newer gdr-tune */
    GDR_ERR_READONLY,  /* the database cannot be written */
    GDR_ERR_FULL,      /* the disk is full */
    GDR_ERR_BUSY,      /* another process holds the database */
    GDR_ERR_UNSAFE,    /* a file that others can write holds code */
    GDR_ERR_NO_DEVICE, /* no such device, or its driver is missing */
    GDR_ERR_NO_PLAN,   /* nothing tuned that the caller accepts */
    GDR_ERR_COMPILE,   /* a compiler is missing or refused the source */
    GDR_ERR_LOAD,      /* an image cannot run on this device */
    GDR_ERR_LAUNCH,    /* the device refused or failed a launch */
    GDR_ERR_TEMPLATE,  /* a template, spec or shape list is wrong */
    GDR_ERR_INTERNAL   /* a bug in libgdr: please report it */
} gdr_status;

/* One short phrase for a status; never NULL. */
GDR_API const char *gdr_strerror(gdr_status status);

/* "0.1.0": the version of the library at run time. */
GDR_API const char *gdr_version(void);

/* ---- problem ------------------------------------------------------------ */

typedef enum gdr_op { GDR_RECURRENT } gdr_op;

/* What happens to the state across the T tokens of one call. */
typedef enum gdr_contract {
    GDR_FINAL,    /* read slot, write slot after the last token */
    GDR_RING,     /* read slot[c mod R], write slot[(c+1+t) mod R] (lmdeploy) */
    GDR_INDEXED,  /* read idx[b, accepted[b]-1], write idx[b, t] (vLLM) */
    GDR_SNAPSHOTS /* write snapshots[b or slot, t] (SGLang, FlashInfer) */
} gdr_contract;

/* GDR_VK stores a head's state as [V][K] (K contiguous), GDR_KV as [K][V]. */
typedef enum gdr_layout { GDR_VK, GDR_KV } gdr_layout;
typedef enum gdr_dtype { GDR_F32, GDR_BF16, GDR_F16 } gdr_dtype;

/* GDR_GATE_G: g and beta are given (or absent). GDR_GATE_FUSED: computed inside
 * from a, A_log, dt_bias and b (Qwen3-Next's projections). */
typedef enum gdr_gate { GDR_GATE_G, GDR_GATE_FUSED } gdr_gate;

/* The part of a problem that is compiled into a kernel. */
typedef struct gdr_static {
    size_t size; /* sizeof(gdr_static) */
    gdr_op op;
    gdr_contract contract;
    gdr_layout layout;
    gdr_dtype io;    /* dtype of q, k, v, o */
    gdr_dtype state; /* dtype of S in memory; arithmetic on S is float32 */
    int32_t K;       /* key head dim, a positive multiple of 8, <= 1024 */
    int32_t V;       /* value head dim, 1 .. 4096 */
    gdr_gate gate;
    int32_t l2norm;               /* 1: q and k are l2-normalised inside */
    int32_t round_between_tokens; /* 1: S is rounded to its dtype after each
                                     token before the next one uses it */
} gdr_static;

/* The part that may change with every call. Frozen: will never grow. */
typedef struct gdr_extents {
    int64_t B;  /* sequences */
    int64_t T;  /* tokens per sequence */
    int64_t Hk; /* query/key heads */
    int64_t Hv; /* value heads, a multiple of Hk */
} gdr_extents;

typedef struct gdr_problem {
    gdr_static s;
    gdr_extents x; /* all 0 when only the static part is given */
} gdr_problem;

/* Longest canonical text of a problem, with its terminating 0. */
#define GDR_PROBLEM_TEXT 160

/*
 * Text form, canonical: same value, same bytes.
 *
 *     recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b64t1hk16hv32
 *     op:contract:layout:io/state:dims[:l2norm]:gate[:round] [/ extents]
 *
 * Parse accepts the canonical text with any blanks around '/'; it returns
 * GDR_ERR_PARSE (message in msg, at most n bytes, may be NULL) for anything
 * else, out-of-range dims and dtype pairs that do not exist included. The pairs
 * are f32/f32 bf16/f32 bf16/bf16 f16/f32 f16/f16.
 */
GDR_API gdr_status gdr_problem_parse(const char *text, gdr_problem *out,
                                     char *msg, size_t n);

/* Writes the canonical text, with extents if has extents (B > 0). The problem
 * must be valid. Returns the length; text is cut at n like snprintf. */
GDR_API size_t gdr_problem_format(const gdr_problem *p, char *text, size_t n);

/* <0, 0, >0: a total order, statics before extents. */
GDR_API int gdr_problem_compare(const gdr_problem *a, const gdr_problem *b);

/* GDR_ERR_ARG with a message when a field is out of range. */
GDR_API gdr_status gdr_problem_check(const gdr_problem *p, char *msg, size_t n);

/* ---- arguments of a call ------------------------------------------------ */

/* A strided tensor [B][T][H][D]; the last dim is contiguous. Strides are in
 * elements of the tensor's dtype, so that slices of a packed tensor work. */
typedef struct gdr_tensor {
    void *data;
    int64_t stride_b, stride_t, stride_h;
} gdr_tensor;

/* Run-time flags of gdr_args.flags. */
enum {
    GDR_HEAD_MOD = 1 << 0,   /* head map hv % Hk (llama.cpp), not hv/(Hv/Hk) */
    GDR_ALPHA = 1 << 1,      /* g holds the linear decay exp(g) */
    GDR_NEG_EIGVAL = 1 << 2, /* fused: beta = 2 sigmoid(b) */
    GDR_INDEX64 = 1 << 3,    /* state_indices are int64, not int32 */
    GDR_GATE_IO = 1 << 4,    /* g or a are in the io dtype, not float32 */
    GDR_BETA_IO = 1 << 5,    /* beta or b are in the io dtype, not float32 */
    GDR_UPDATE_STATE = 1 << 6, /* snapshots: also write the slot at the end */
    GDR_SNAPSHOT_BY_SLOT = 1 << 7, /* snapshots are indexed by slot, not by b */
    GDR_SNAPSHOT_F32 = 1 << 8      /* snapshots are float32, not state dtype */
};

/*
 * One call. Start from gdr_args_init, which sets everything to the contiguous
 * defaults, then set the pointers. The caller owns all memory; on a card the
 * pointers are device pointers and are never read on the host.
 *
 * Invalid state index (< index_min or >= n_slots), or accepted outside 1..T:
 * that sequence's o is zeros and no state of it is touched. Two sequences must
 * not name the same valid state, and no output may overlap an input or another
 * output: neither is checked, and the results are then undefined.
 */
typedef struct gdr_args {
    size_t size; /* sizeof(gdr_args) */
    gdr_extents x;
    uint32_t flags;
    float scale; /* multiplies q; gdr_args_init sets K^-0.5 */

    gdr_tensor q, k; /* [B][T][Hk][K], io dtype */
    gdr_tensor v, o; /* [B][T][Hv][V], io dtype */
    gdr_tensor g;    /* [B][T][Hv] log decay (GDR_ALPHA: decay); NULL: none */
    gdr_tensor beta; /* [B][T][Hv]; NULL: 1 */
    gdr_tensor a, b; /* fused gate inputs [B][T][Hv] */
    const float *A_log;   /* [Hv], fused */
    const float *dt_bias; /* [Hv], fused */

    /* The pool of states. A state is one head's [V][K] or [K][V], contiguous;
     * its address is state + slot * stride_slot + ring * stride_ring +
     * hv * stride_head, strides in elements of the state dtype. On a card each
     * of these, and of the snapshots', is a multiple of 16 bytes. */
    void *state;
    int64_t state_stride_slot, state_stride_ring, state_stride_head;
    int64_t n_slots;              /* N, slots in the pool */
    int64_t ring;                 /* R >= T, ring only */
    const void *state_indices;    /* [B]; indexed: [B][T]. NULL: slot b */
    int64_t indices_stride_b;     /* indexed: elements between rows */
    int64_t index_min;            /* smallest valid index: 0, or 1 for vLLM */
    const int32_t *cache_seqlens; /* [B], ring only */
    const int32_t *accepted;      /* [B] in 1..T, indexed only; NULL: 1 */

    /* snapshots only: [n_snapshots][T][Hv] states */
    void *snapshots;
    int64_t snapshot_stride_n, snapshot_stride_t, snapshot_stride_head;
    int64_t n_snapshots; /* >= B, or >= n_slots with GDR_SNAPSHOT_BY_SLOT */

    void *workspace; /* gdr_plan_info.workspace_bytes, 256-byte aligned */
    size_t workspace_bytes;
} gdr_args;

/* Sets size, extents, scale, contiguous strides, n_slots = B, ring = T and
 * n_snapshots = B from the problem; flags 0, or GDR_UPDATE_STATE for snapshots;
 * pointers NULL. */
GDR_API void gdr_args_init(gdr_args *args, const gdr_problem *p);

/* Checks that the arguments fit the static problem: null or misaligned
 * pointers, extents that differ, R < T, strides under which two outputs
 * overlap. GDR_ERR_ARG names the argument. Reads no device memory. B = 0 or T =
 * 0 is fine: nothing to do. */
GDR_API gdr_status gdr_args_check(const gdr_static *s, const gdr_args *args,
                                  char *msg, size_t n);

/* ---- reference ---------------------------------------------------------- */

/*
 * The plain oracle: the golden recurrence in float64, token by token, on host
 * pointers, single-threaded and slow. Rounds only where the contract stores.
 * Use it to check an integration. GDR_ERR_ARG as gdr_args_check; the message
 * goes to msg (may be NULL).
 */
GDR_API gdr_status gdr_reference(const gdr_static *s, const gdr_args *args,
                                 char *msg, size_t n);

/* ---- database and device ------------------------------------------------ */

typedef struct gdr gdr;
typedef struct gdr_device gdr_device;
typedef struct gdr_set gdr_set;

/*
 * Opens a tuned database read-only. path NULL: $GDR_DB, else
 * $XDG_DATA_HOME/gdr/gdr.db (or ~/.local/share/gdr/gdr.db), else the
 * system's /usr/local/share/gdr/gdr.db, /usr/share/gdr/gdr.db. Everything
 * needed is read here: the file may vanish afterwards. *out is set on failure
 * too (unless memory ran out), so that gdr_errmsg works; close it all the same.
 *
 * The file holds code. GDR_ERR_UNSAFE where everybody may write to it, unless
 * $GDR_VERIFY_KEY names a file with a public key of gdr-bundle keygen: then its
 * signature is required, and must be of all that was read. Damaged code is
 * found by its hash when gdr_select wants it, and is not loaded.
 */
GDR_API gdr_status gdr_open(const char *path, gdr **out);
GDR_API void gdr_close(gdr *g);

/* 64 hex digits and the 0. */
#define GDR_DIGEST_TEXT 65

/*
 * A SHA-256 of all that dispatch depends on: every row that was read, with its
 * code. Ranks of a job that have equal digests, devices and select options find
 * equal plans. Independent of where the file lies and in which order it was
 * written. GDR_ERR_NO_MEMORY.
 */
GDR_API gdr_status gdr_digest(const gdr *g, char digest[GDR_DIGEST_TEXT]);

/* The message of the last failure on this handle, "" if none. Owned by it. */
GDR_API const char *gdr_errmsg(const gdr *g);

/* Runs body(ctx, begin, end) over disjoint ranges that cover [0, n), on as many
 * threads as it likes, and returns when all are done. */
typedef void (*gdr_body)(void *ctx, int64_t begin, int64_t end);
typedef void (*gdr_parallel_for)(void *user, int64_t n, gdr_body body,
                                 void *ctx);

typedef struct gdr_device_options {
    size_t size;
    int32_t threads; /* cpu: pool size; 0: what cgroups and affinity allow */
    gdr_parallel_for parallel_for; /* cpu: the caller's threads, or NULL */
    void *user;                    /* first argument of parallel_for */
} gdr_device_options;

/* name: "cpu", "cuda:N", "N" (the same), "auto" (a card if there is one, else
 * cpu). options may be NULL. GDR_ERR_NO_DEVICE says what is missing. */
GDR_API gdr_status gdr_device_open(gdr *g, const char *name,
                                   const gdr_device_options *options,
                                   gdr_device **out);
GDR_API void gdr_device_close(gdr_device *dev);

/* "cpu:x86-64:avx2+fma:cores=2:..."; owned by the device. */
GDR_API const char *gdr_device_fingerprint(const gdr_device *dev);

/* ---- dispatch ----------------------------------------------------------- */

/* How good a match is, best first. */
typedef enum gdr_match {
    GDR_MATCH_EXACT,   /* tuned here for these extents */
    GDR_MATCH_NEAR,    /* nearest tuned extents, inside the tuned hull */
    GDR_MATCH_EDGE,    /* nearest tuned extents, outside the hull */
    GDR_MATCH_SIBLING, /* tuned on a device of the same architecture */
    GDR_MATCH_DEFAULT, /* untuned but correct */
    GDR_MATCH_PTX,     /* a default compiled by the driver at preload */
    GDR_MATCH_GENERIC  /* the plain C kernel inside libgdr: correct, slow */
} gdr_match;

GDR_API const char *gdr_match_name(gdr_match m); /* "exact", ... */

/* Flags of gdr_select_options. */
enum {
    GDR_SELECT_PIN = 1 << 0 /* one reduction id for all extents: what a sequence
                               gives does not change with the batch it is in */
};

typedef struct gdr_select_options {
    size_t size;     /* sizeof(gdr_select_options) */
    gdr_match worst; /* the worst match that find may return */
    uint32_t flags;
    const char *reduction; /* pins this id (gdr_plan_info.reduction), e.g. that
                              of another rank; NULL: with GDR_SELECT_PIN the one
                              that most tuned extents have, then the fastest */
} gdr_select_options;

/*
 * Collects the plans for one static problem and loads their code. options NULL:
 * worst = GDR_MATCH_PTX and nothing pinned. Where $GDR_MATCH is set ("exact" ..
 * "generic") it is the worst match instead of the caller's, so that who runs an
 * engine can demand a tuned table, or do without, and change no code.
 *
 * GDR_ERR_NO_PLAN (with the gdr-tune command that mends it) if nothing fits;
 * with worst = GDR_MATCH_GENERIC a cpu device always has a plan, also where the
 * system forbids to load code; with a better worst that is GDR_ERR_NO_PLAN,
 * too, with the reason. GDR_ERR_ARG for a $GDR_MATCH that is no match. A set
 * lives as long as its device.
 */
GDR_API gdr_status gdr_select(gdr_device *dev, const gdr_static *s,
                              const gdr_select_options *options, gdr_set **out);
GDR_API void gdr_set_close(gdr_set *set);

/*
 * What the first launches of the set would do: a card has the code, the cpu's
 * pool has its threads. Before a graph is captured, and where the first request
 * shall be as fast as the next. GDR_ERR_LOAD with a message (msg may be NULL)
 * where a driver loads at the first launch whatever is done.
 */
GDR_API gdr_status gdr_preload(const gdr_set *set, char *msg, size_t n);

/* A plan: an opaque handle by value, valid as long as its set. Frozen. */
typedef struct gdr_plan {
    const struct gdr_recipe *recipe;
    gdr_match match;
    uint32_t index;
} gdr_plan;

/* The plan for a call's extents: no lock, no allocation, no system call.
 * GDR_ERR_ARG for extents that no call may have (negative, Hv % Hk != 0),
 * GDR_ERR_NO_PLAN where the match would be worse than is accepted. */
GDR_API gdr_status gdr_set_find(const gdr_set *set, const gdr_extents *x,
                                gdr_plan *plan);

/*
 * Misses: finds that were not exact, counted for each of the first 64 different
 * extents of a set. Threads that miss at once may count one instead of two.
 *
 * gdr_set_misses: all of them. gdr_misses_append writes a line for each
 * extents, "COUNT PROBLEM", to the end of a file with one write, so that many
 * processes may share it, and counts from 0 again; `gdr-tune --from-misses
 * FILE` tunes what stands there. Nothing is written where nothing was missed.
 * GDR_ERR_IO with a message (msg may be NULL).
 */
GDR_API uint64_t gdr_set_misses(const gdr_set *set);
GDR_API gdr_status gdr_misses_append(gdr_set *set, const char *path, char *msg,
                                     size_t n);

/* What a plan is, for logs and for sizing the workspace. Texts are owned by the
 * set. */
typedef struct gdr_plan_info {
    size_t size;
    gdr_match match;
    const char *kernel;    /* the template's stem, e.g. "cpu/recurrent" */
    const char *config;    /* "rows=4 tile_v=32 width=16" */
    const char *problem;   /* the tuned problem that the plan comes from */
    const char *reduction; /* plans with the same id agree bitwise */
    const char *run; /* which made it: "gdr-tune 0.1.0, ..."; "": unknown */
    double time_ns;  /* measured there; 0 if it never was */
    double regret;   /* slower than the fastest known for these extents by:
                        0.03 is 3 %; negative where nobody measured */
    size_t workspace_bytes;
} gdr_plan_info;

GDR_API gdr_status gdr_plan_describe(const gdr_plan *plan, const gdr_extents *x,
                                     gdr_plan_info *info);

/*
 * Launches. stream: a CUstream on a card; NULL on the cpu, where the call
 * returns when the work is done. Checks the arguments first; GDR_ERR_ARG names
 * the bad one and nothing is launched. msg (may be NULL) gets the message.
 */
GDR_API gdr_status gdr_launch(const gdr_plan *plan, const gdr_args *args,
                              void *stream, char *msg, size_t n);

#ifdef __cplusplus
}
#endif
#endif

/*
 * calls.h - what an emulated kernel may ask of the emulator: one table of
 * functions. The same text is compiled into the emulator (C) and before every
 * kernel (C++), so it includes nothing. pc: the address of the call in the
 * kernel, for reports.
 */
#ifndef GDR_EMU_CALLS_H
#define GDR_EMU_CALLS_H

struct gdr_emu;

/* What an access does; the last two are for the emulator's own. */
enum {
    GDR_EMU_READ = 1,
    GDR_EMU_WRITE = 2,
    GDR_EMU_ATOMIC = 4,
    GDR_EMU_ASYNC = 8,  /* by a copy that runs by itself */
    GDR_EMU_PROXY = 16, /* through the async proxy */
    GDR_EMU_MARK = 32   /* an mbarrier operation: not plain data */
};

enum { GDR_EMU_THREAD, GDR_EMU_THREADS, GDR_EMU_BLOCK, GDR_EMU_BLOCKS };

typedef struct gdr_emu_calls {
    struct gdr_emu *emu;

    long long (*index)(struct gdr_emu *e, int what);
    void *(*shared)(struct gdr_emu *e, int id, unsigned long bytes,
                    const char *name, const void *pc);
    void *(*dynamic)(struct gdr_emu *e);
    void *(*part)(struct gdr_emu *e, const void *dynamic, unsigned long offset,
                  unsigned long bytes, const char *name, const void *pc);
    unsigned (*address)(struct gdr_emu *e, const void *p, const void *pc);

    /* One access of the kernel itself, before it happens. */
    void (*access)(struct gdr_emu *e, const void *p, unsigned long bytes,
                   unsigned long align, int kind, const void *pc);
    void (*copy)(struct gdr_emu *e, void *to, const void *from,
                 unsigned long bytes, const void *pc);
    void (*fill)(struct gdr_emu *e, void *to, int byte, unsigned long bytes,
                 const void *pc);
    unsigned (*atomic_add)(struct gdr_emu *e, unsigned *p, unsigned x,
                           const void *pc);
    void (*fence_device)(struct gdr_emu *e);

    /* threads < 0: the whole block */
    void (*barrier)(struct gdr_emu *e, int name, int threads, int arrive_only,
                    const void *pc);
    void (*warp_sync)(struct gdr_emu *e, const void *pc);
    unsigned (*shuffle)(struct gdr_emu *e, unsigned x, int flip, int lane,
                        const void *pc);

    void (*copy_async)(struct gdr_emu *e, void *shared, const void *global,
                       const void *pc);
    void (*copy_commit)(struct gdr_emu *e);
    void (*copy_wait)(struct gdr_emu *e, int pending, const void *pc);

    void (*mbarrier_init)(struct gdr_emu *e, void *bar, unsigned count,
                          const void *pc);
    void (*mbarrier_fence)(struct gdr_emu *e);
    void (*mbarrier_arrive)(struct gdr_emu *e, void *bar, unsigned bytes,
                            const void *pc);
    void (*mbarrier_wait)(struct gdr_emu *e, void *bar, unsigned parity,
                          const void *pc);
    void (*bulk_load)(struct gdr_emu *e, void *shared, const void *global,
                      unsigned bytes, void *bar, const void *pc);
    void (*bulk_store)(struct gdr_emu *e, void *global, const void *shared,
                       unsigned bytes, const void *pc);
    void (*bulk_commit)(struct gdr_emu *e);
    void (*bulk_wait)(struct gdr_emu *e, int pending, int written,
                      const void *pc);
    void (*fence_async)(struct gdr_emu *e);
    void (*grid_wait)(struct gdr_emu *e);
    void (*grid_release)(struct gdr_emu *e);

    float (*exponential)(float x);
    float (*log_1p)(float x);
    float (*root)(float x);
    float (*fused)(float a, float b, float c);
    float (*from_f16)(unsigned x);
    unsigned (*to_f16)(float x);
} gdr_emu_calls;

#endif

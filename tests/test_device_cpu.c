/* test_device_cpu.c - images in, launches out; and recipes on top of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../runtime/backend.h"
#include "../runtime/generic.h"
#include "../runtime/recipe.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const gdr_backend *cpu = &gdr_backend_cpu;

static void *open_cpu(int threads, gdr_parallel_for parallel_for, void *user)
{
    const gdr_device_options options = {.size = sizeof options,
                                        .threads = threads,
                                        .parallel_for = parallel_for,
                                        .user = user};
    char msg[256] = "";
    void *dev = NULL;
    if (cpu->open("", &options, &dev, msg, sizeof msg) != GDR_OK)
        fail_msg("open: %s", msg);
    return dev;
}

/* ---- images made by the system's compiler -------------------------------- */

/* units(p, begin, end): adds N to each of the ints in [begin, end) of p->o.
 * Another N makes another image. */
static const char source[] =
    "void units(void *const *p, long long begin, long long end)\n"
    "{ int *hits = p[3]; for (; begin < end; begin++) hits[begin] += N; }\n";

typedef struct bytes {
    char *data;
    size_t n;
} bytes;

static bytes read_file(const char *path)
{
    bytes b = {NULL, 0};
    FILE *f = fopen(path, "rb");
    if (!f)
        return b;
    b.data = malloc(1 << 20);
    assert_non_null(b.data);
    b.n = fread(b.data, 1, 1 << 20, f);
    fclose(f);
    return b;
}

/* data is NULL where there is no compiler. */
static bytes compile(int n)
{
    char folder[] = "/tmp/gdr-test-XXXXXX", path[64], command[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/image.so", folder);
    snprintf(command, sizeof command,
             "cc -shared -fPIC -O1 -DN=%d -x c -o %s - 2>/dev/null", n, path);
    FILE *cc = popen(command, "w");
    assert_non_null(cc);
    fputs(source, cc);
    pclose(cc);
    bytes image = read_file(path);
    unlink(path);
    rmdir(folder);
    return image;
}

static bytes one, ten; /* N = 1 and N = 10, made once */

static int make_images(void **state)
{
    (void)state;
    one = compile(1);
    ten = compile(10);
    return 0;
}

static int free_images(void **state)
{
    (void)state;
    free(one.data);
    free(ten.data);
    return 0;
}

static void need_images(void)
{
    if (one.data && ten.data)
        return;
    print_message("skipped: no cc to make an image with\n");
    skip();
}

static void *load(void *dev, bytes image, const char *entry)
{
    void *kernel = NULL;
    char msg[512] = "";
    if (cpu->load(dev, image.data, image.n, entry, &kernel, msg, sizeof msg) !=
        GDR_OK)
        fail_msg("load: %s", msg);
    return kernel;
}

static void launch(void *dev, void *kernel, int *hits, int64_t x, int64_t y,
                   int64_t z)
{
    gdr_recurrent_params p = {.o = hits};
    gdr_launch_dims dims = {.grid = {x, y, z}, .block = 1};
    assert_int_equal(cpu->launch(dev, kernel, &dims, &p, sizeof p, NULL),
                     GDR_OK);
}

static void assert_hits(const int *hits, int n, int value)
{
    for (int i = 0; i < n; i++)
        if (hits[i] != value)
            fail_msg("unit %d of %d ran for %d, not %d", i, n, hits[i], value);
}

/* ---- loading ------------------------------------------------------------- */

static void an_image_runs_each_unit_once(void **state)
{
    int hits[30] = {0};
    (void)state;
    need_images();
    for (int threads = 1; threads <= 4; threads++) {
        void *dev = open_cpu(threads, NULL, NULL);
        void *kernel = load(dev, one, "units");
        memset(hits, 0, sizeof hits);
        launch(dev, kernel, hits, 5, 3, 2);
        assert_hits(hits, 30, 1);
        launch(dev, kernel, hits, 0, 3, 2);
        assert_hits(hits, 30, 1);
        cpu->unload(dev, kernel);
        cpu->close(dev);
    }
}

static int count_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Lines of /proc/self/maps that name our memory files. */
static int count_images(void)
{
    char line[512];
    int n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        n += strstr(line, "memfd:gdr") && strstr(line, "r-xp");
    fclose(f);
    return n;
}

static void equal_bytes_share_and_fds_do_not_linger(void **state)
{
    (void)state;
    need_images();
    void *dev = open_cpu(1, NULL, NULL), *kernel[20];
    int fds = count_fds(), images = count_images();
    for (int i = 0; i < 20; i++)
        kernel[i] = load(dev, i % 2 ? one : ten, "units");
    assert_int_equal(count_fds(), fds);
    assert_int_equal(count_images(), images + 2);
    for (int i = 0; i < 19; i++)
        cpu->unload(dev, kernel[i]);
    assert_int_equal(count_images(), images + 1);
    int hits[4] = {0};
    launch(dev, kernel[19], hits, 4, 1, 1); /* its image is still there */
    assert_hits(hits, 4, 1);
    cpu->unload(dev, kernel[19]);
    assert_int_equal(count_images(), images);
    cpu->close(dev);
}

/* The descriptor's number, and so a plain name of the file, repeats. */
static void images_do_not_mix(void **state)
{
    int hits[3];
    (void)state;
    need_images();
    void *a = open_cpu(1, NULL, NULL), *b = open_cpu(1, NULL, NULL);
    for (int i = 0; i < 10; i++) {
        void *k1 = load(a, one, "units"), *k10 = load(b, ten, "units");
        memset(hits, 0, sizeof hits);
        launch(a, k1, hits, 3, 1, 1);
        launch(b, k10, hits, 3, 1, 1);
        assert_hits(hits, 3, 11);
        cpu->unload(i % 2 ? a : b, i % 2 ? k1 : k10);
        cpu->unload(i % 2 ? b : a, i % 2 ? k10 : k1);
    }
    cpu->close(a);
    cpu->close(b);
}

static void close_unloads_what_is_left(void **state)
{
    (void)state;
    need_images();
    int images = count_images();
    void *dev = open_cpu(1, NULL, NULL);
    load(dev, one, "units");
    load(dev, ten, "units");
    cpu->close(dev);
    assert_int_equal(count_images(), images);
    cpu->close(NULL);
}

static void refused(void *dev, bytes image, const char *entry, const char *why)
{
    void *kernel = dev;
    char msg[512] = "";
    gdr_status status =
        cpu->load(dev, image.data, image.n, entry, &kernel, msg, sizeof msg);
    if (status != GDR_ERR_LOAD || !strstr(msg, why) || kernel)
        fail_msg("status %d, \"%s\"; expected \"%s\"", status, msg, why);
}

static void rubbish_is_refused(void **state)
{
    char rubbish[4096];
    (void)state;
    void *dev = open_cpu(1, NULL, NULL);
    for (size_t i = 0; i < sizeof rubbish; i++)
        rubbish[i] = (char)(i * 37);
    refused(dev, (bytes){rubbish, 0}, "units", "too short");
    refused(dev, (bytes){rubbish, 63}, "units", "too short");
    refused(dev, (bytes){rubbish, sizeof rubbish}, "units", "not an ELF");
    bytes program = read_file("/proc/self/exe");
    memset(rubbish, 0, sizeof rubbish);
    memcpy(rubbish, program.data, sizeof(Elf64_Ehdr));
    refused(dev, (bytes){rubbish, sizeof rubbish}, "units", "cannot be loaded");
    free(program.data);
    cpu->close(dev);
}

static void damaged_images_are_refused(void **state)
{
    (void)state;
    need_images();
    void *dev = open_cpu(1, NULL, NULL);
    bytes copy = {malloc(one.n), one.n};
    assert_non_null(copy.data);
    memcpy(copy.data, one.data, one.n);
    Elf64_Ehdr *e = (Elf64_Ehdr *)copy.data;
    e->e_machine = EM_RISCV;
    refused(dev, copy, "units", "another architecture");
    memcpy(copy.data, one.data, one.n);
    e->e_ident[EI_CLASS] = ELFCLASS32;
    refused(dev, copy, "units", "another architecture");
    memcpy(copy.data, one.data, one.n);
    e->e_type = ET_REL;
    refused(dev, copy, "units", "not a shared object");
    memcpy(copy.data, one.data, one.n);
    e->e_phoff = UINT64_MAX - 8;
    refused(dev, copy, "units", "cut off");
    memcpy(copy.data, one.data, one.n);
    copy.n = 4096 < one.n ? 4096 : one.n / 2;
    refused(dev, copy, "units", "cut off");
    free(copy.data);
    refused(dev, one, "no_such_symbol", "no_such_symbol");
    cpu->close(dev);
}

/* A child without descriptors cannot have a memory file, nor a temporary one:
 * the message says both. */
static void where_nothing_loads_the_reason_is_given(void **state)
{
    int status = 0;
    (void)state;
    need_images();
    pid_t child = fork();
    if (child == 0) {
        void *kernel, *dev = open_cpu(1, NULL, NULL);
        char msg[1024] = "";
        while (dup(0) >= 0)
            ;
        gdr_status s =
            cpu->load(dev, one.data, one.n, "units", &kernel, msg, sizeof msg);
        _exit(s == GDR_ERR_LOAD && strstr(msg, "TMPDIR") &&
                      strstr(msg, "memory file")
                  ? 0
                  : 1);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
}

/* From here on this process has no memory files, as in some containers. */
static int forbid_memory_files(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {4, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Exit status of a child: 0 good, 77 no filter to be had. */
static int load_through_a_file(const char *folder)
{
    int hits[4] = {0};
    setenv("TMPDIR", folder, 1);
    unsetenv("XDG_RUNTIME_DIR");
    if (!forbid_memory_files())
        return 77;
    void *dev = open_cpu(1, NULL, NULL);
    void *k1 = load(dev, one, "units"), *k10 = load(dev, ten, "units");
    launch(dev, k1, hits, 4, 1, 1);
    launch(dev, k10, hits, 4, 1, 1);
    cpu->close(dev);
    return hits[0] == 11 && hits[3] == 11 ? 0 : 1;
}

static void without_memory_files_a_temporary_one_serves(void **state)
{
    char folder[] = "/tmp/gdr-test-XXXXXX";
    int status = 0;
    (void)state;
    need_images();
    assert_non_null(mkdtemp(folder));
    pid_t child = fork();
    if (child == 0)
        _exit(load_through_a_file(folder));
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(rmdir(folder), 0); /* nothing was left in it */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("skipped: no seccomp to forbid memory files with\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* ---- launching ----------------------------------------------------------- */

/* One range per unit, backwards: any split must do. */
static void backwards(void *user, int64_t n, gdr_body body, void *ctx)
{
    atomic_fetch_add((atomic_int *)user, 1);
    for (int64_t i = n; i-- > 0;)
        body(ctx, i, i + 1);
}

static void the_callers_threads_are_used(void **state)
{
    atomic_int calls = 0;
    int hits[17] = {0};
    (void)state;
    need_images();
    void *dev = open_cpu(0, backwards, &calls);
    void *kernel = load(dev, ten, "units");
    launch(dev, kernel, hits, 17, 1, 1);
    assert_hits(hits, 17, 10);
    assert_int_equal(atomic_load(&calls), 1);
    cpu->close(dev);
}

typedef struct shared {
    void *dev, *kernel;
} shared;

static void *launch_often(void *arg)
{
    const shared *s = arg;
    intptr_t bad = 0;
    for (int i = 0; i < 200; i++) {
        int hits[40] = {0};
        gdr_recurrent_params p = {.o = hits};
        gdr_launch_dims dims = {.grid = {40, 1, 1}};
        bad += cpu->launch(s->dev, s->kernel, &dims, &p, sizeof p, NULL);
        for (int j = 0; j < 40; j++)
            bad += hits[j] != 1;
    }
    return (void *)bad;
}

static void threads_launch_at_once(void **state)
{
    pthread_t thread[3];
    (void)state;
    need_images();
    shared s = {open_cpu(3, NULL, NULL), NULL};
    s.kernel = load(s.dev, one, "units");
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, launch_often, &s), 0);
    for (int i = 0; i < 3; i++) {
        void *bad;
        assert_int_equal(pthread_join(thread[i], &bad), 0);
        assert_null(bad);
    }
    cpu->close(s.dev);
}

static void impossible_launches_fail(void **state)
{
    gdr_recurrent_params p = {0};
    void *kernel;
    (void)state;
    void *dev = open_cpu(1, NULL, NULL);
    assert_int_equal(cpu->adopt(dev, gdr_generic_recurrent, &kernel, NULL, 0),
                     GDR_OK);
    const gdr_launch_dims huge = {.grid = {INT64_MAX, 2, 1}};
    const gdr_launch_dims negative = {.grid = {1, -1, 1}};
    const gdr_launch_dims none = {.grid = {1, 0, 1}};
    assert_int_equal(cpu->launch(dev, kernel, &huge, &p, sizeof p, NULL),
                     GDR_ERR_LAUNCH);
    assert_int_equal(cpu->launch(dev, kernel, &negative, &p, sizeof p, NULL),
                     GDR_ERR_LAUNCH);
    assert_int_equal(cpu->launch(dev, kernel, &none, &p, sizeof p, dev),
                     GDR_ERR_LAUNCH); /* a stream */
    assert_int_equal(cpu->launch(dev, kernel, &none, &p, sizeof p, NULL),
                     GDR_OK);
    cpu->close(dev);
}

/* ---- open and info ------------------------------------------------------- */

static void the_device_describes_itself(void **state)
{
    (void)state;
    void *dev = open_cpu(3, NULL, NULL), *again = open_cpu(3, NULL, NULL);
    const gdr_device_info *i = cpu->info(dev);
    assert_string_equal(i->kind, "cpu");
    assert_int_equal(i->sms, 3);
    assert_true(i->vector_bytes >= 16 && i->l1_bytes > 0 && i->l2_bytes > 0 &&
                i->llc_bytes > 0 && i->memory_bytes > 0);
    assert_int_equal(strncmp(i->fingerprint, "cpu:", 4), 0);
    assert_non_null(strstr(i->fingerprint, ":threads=3:"));
    assert_non_null(strstr(i->fingerprint, i->isa));
    assert_true(strlen(i->fingerprint) < sizeof i->fingerprint - 1);
    assert_string_equal(i->fingerprint, cpu->info(again)->fingerprint);
    assert_true(cpu->loadable(dev, i->isa));
    assert_true(cpu->loadable(dev, ""));
    assert_false(cpu->loadable(dev, "of-tomorrow"));
    cpu->close(dev);
    cpu->close(again);
}

static void bad_options_are_refused(void **state)
{
    gdr_device_options o = {.size = sizeof o, .threads = -1};
    char msg[128] = "";
    void *dev;
    (void)state;
    assert_int_equal(cpu->open("", &o, &dev, msg, sizeof msg), GDR_ERR_ARG);
    assert_non_null(strstr(msg, "threads"));
    o.threads = 100000;
    assert_int_equal(cpu->open("", &o, &dev, msg, sizeof msg), GDR_ERR_ARG);
    o.threads = 1;
    o.size = 3;
    assert_int_equal(cpu->open("", &o, &dev, msg, sizeof msg), GDR_ERR_ARG);
    assert_non_null(strstr(msg, "size"));
    assert_int_equal(cpu->open("1", NULL, &dev, msg, sizeof msg),
                     GDR_ERR_NO_DEVICE);
    assert_null(dev);
    assert_int_equal(cpu->open("", NULL, &dev, NULL, 0), GDR_OK);
    cpu->close(dev);
}

static void backends_are_found_by_kind(void **state)
{
    (void)state;
    assert_ptr_equal(gdr_backend_find("cpu:0", 3), cpu);
    assert_null(gdr_backend_find("cpux", 4));
    assert_null(gdr_backend_find("cp", 2));
    assert_null(gdr_backend_find("", 0));
}

/* ---- recipes: on a backend that only takes notes --------------------------
 */

typedef struct notes {
    gdr_device_info info;
    int loaded, unloaded, launched;
    gdr_launch_dims dims[4];
    gdr_recurrent_params params;
    size_t params_bytes;
    gdr_status load_status, launch_status;
} notes;

static const gdr_device_info *note_info(const void *dev)
{
    return &((const notes *)dev)->info;
}

static gdr_status note_load(void *dev, const void *code, size_t n,
                            const char *entry, void **kernel, char *msg,
                            size_t msg_n)
{
    notes *d = dev;
    (void)code;
    (void)n;
    (void)entry;
    (void)msg;
    (void)msg_n;
    if (d->load_status == GDR_OK)
        d->loaded++;
    *kernel = dev;
    return d->load_status;
}

static void note_unload(void *dev, void *kernel)
{
    (void)kernel;
    ((notes *)dev)->unloaded++;
}

static gdr_status note_launch(void *dev, void *kernel,
                              const gdr_launch_dims *dims, const void *params,
                              size_t params_bytes, void *stream)
{
    notes *d = dev;
    (void)kernel;
    (void)stream;
    if (d->launched < 4)
        d->dims[d->launched] = *dims;
    d->launched++;
    memcpy(&d->params, params, sizeof d->params);
    d->params_bytes = params_bytes;
    return d->launch_status;
}

static const gdr_backend noter = {.kind = "note",
                                  .info = note_info,
                                  .load = note_load,
                                  .unload = note_unload,
                                  .launch = note_launch};

static const gdr_problem small = {
    .s = {.size = sizeof(gdr_static), .K = 16, .V = 40},
    .x = {.B = 3, .T = 2, .Hk = 2, .Hv = 4}};

static gdr_recipe empty_recipe(notes *d)
{
    return (gdr_recipe){
        .s = small.s, .backend = &noter, .dev = d, .sms = 5, .config = "c"};
}

/* A device whose kernels read states in vectors of 16 bytes. */
static void states_begin_where_vectors_may(void **state)
{
    static const struct {
        const char *name;
        size_t at;
        int64_t odd;
    } bad[] = {
        {"state", offsetof(gdr_args, state), 0x1008},
        {"state_stride_slot", offsetof(gdr_args, state_stride_slot), 6},
        {"state_stride_head", offsetof(gdr_args, state_stride_head), 1},
    };
    const gdr_step_text text = {.entry = "e"};
    gdr_backend picky = noter;
    notes d = {0};
    gdr_recipe r = empty_recipe(&d);
    char msg[256] = "";
    (void)state;
    picky.state_align = 16;
    r.backend = &picky;
    assert_int_equal(gdr_recipe_add_step(&r, &text, "", 0, NULL, 0), GDR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gdr_args a;
        gdr_args_init(&a, &small);
        a.state = (void *)0x1000;
        a.state_stride_ring = 1; /* not a ring: nobody reads it */
        assert_int_equal(gdr_recipe_launch(&r, &a, NULL, msg, sizeof msg),
                         GDR_OK);
        memcpy((char *)&a + bad[i].at, &bad[i].odd, sizeof bad[i].odd);
        assert_int_equal(gdr_recipe_launch(&r, &a, NULL, msg, sizeof msg),
                         GDR_ERR_ARG);
        assert_memory_equal(msg, bad[i].name, strlen(bad[i].name));
        r.backend = &noter;
        assert_int_equal(gdr_recipe_launch(&r, &a, NULL, msg, sizeof msg),
                         GDR_OK);
        r.backend = &picky;
    }
}

static void steps_launch_in_order_with_their_geometry(void **state)
{
    notes d = {0};
    gdr_recipe r = empty_recipe(&d);
    gdr_args a;
    const gdr_step_text first = {
        "e", "b*hv*ceil(v/32)", "t", "1", "128", "k*4", "0", NULL};
    const gdr_step_text second = {
        .entry = "f", .grid_x = "min(b*hv*9, sms*2)", .workspace = "b*64"};
    (void)state;
    assert_int_equal(gdr_recipe_add_step(&r, &first, "", 0, NULL, 0), GDR_OK);
    assert_int_equal(gdr_recipe_add_step(&r, &second, "", 0, NULL, 0), GDR_OK);
    gdr_args_init(&a, &small);
    assert_int_equal(gdr_recipe_workspace(&r, &a.x), 192);

    char msg[256] = "";
    assert_int_equal(gdr_recipe_launch(&r, &a, NULL, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_non_null(strstr(msg, "192"));
    a.workspace = (void *)0x1010;
    a.workspace_bytes = 192;
    assert_int_equal(gdr_recipe_launch(&r, &a, NULL, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_non_null(strstr(msg, "256"));
    a.workspace = (void *)0x1000;
    a.workspace_bytes = 191;
    assert_int_equal(gdr_recipe_launch(&r, &a, NULL, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_int_equal(d.launched, 0);
    a.workspace_bytes = 192;
    assert_int_equal(gdr_recipe_launch(&r, &a, NULL, msg, sizeof msg), GDR_OK);

    assert_int_equal(d.launched, 2);
    assert_int_equal(d.dims[0].grid[0], 3 * 4 * 2);
    assert_int_equal(d.dims[0].grid[1], 2);
    assert_int_equal(d.dims[0].block, 128);
    assert_int_equal(d.dims[0].smem, 64);
    assert_int_equal(d.dims[1].grid[0], 10);
    assert_int_equal(d.dims[1].grid[2], 1);
    assert_int_equal(d.params_bytes, sizeof d.params);
    assert_int_equal(d.params.Hv, 4);
    assert_ptr_equal(d.params.workspace, (void *)0x1000);
    a.x.B = 0;
    assert_int_equal(gdr_recipe_launch(&r, &a, NULL, msg, sizeof msg), GDR_OK);
    assert_int_equal(d.launched, 2);
    gdr_recipe_unload(&r);
    gdr_recipe_unload(&r);
    assert_int_equal(d.unloaded, 2);
}

static void bad_steps_are_refused(void **state)
{
    notes d = {0};
    gdr_recipe r = empty_recipe(&d);
    char msg[256] = "";
    gdr_step_text text = {.entry = "e", .grid_x = "1", .smem = "q*4"};
    (void)state;
    assert_int_not_equal(gdr_recipe_add_step(&r, &text, "", 0, msg, sizeof msg),
                         GDR_OK);
    assert_non_null(strstr(msg, "smem"));
    text.smem = NULL;
    d.load_status = GDR_ERR_LOAD;
    assert_int_equal(gdr_recipe_add_step(&r, &text, "", 0, msg, sizeof msg),
                     GDR_ERR_LOAD);
    assert_int_equal(r.n_steps, 0);
    d.load_status = GDR_OK;
    for (int i = 0; i < GDR_RECIPE_STEPS; i++)
        assert_int_equal(gdr_recipe_add_step(&r, &text, "", 0, NULL, 0),
                         GDR_OK);
    assert_int_equal(gdr_recipe_add_step(&r, &text, "", 0, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_int_equal(d.loaded, GDR_RECIPE_STEPS);
    gdr_recipe_unload(&r);
    assert_int_equal(d.unloaded, GDR_RECIPE_STEPS);
}

static void overflow_and_failures_are_statuses(void **state)
{
    notes d = {0};
    gdr_recipe r = empty_recipe(&d);
    gdr_args a;
    char msg[256] = "";
    const gdr_step_text text = {.entry = "e", .grid_x = "b*hv", .grid_y = "t"};
    (void)state;
    assert_int_equal(gdr_recipe_add_step(&r, &text, "", 0, NULL, 0), GDR_OK);
    gdr_args_init(&a, &small);
    a.x.B = INT64_MAX / 4;
    a.x.T = INT64_MAX / 4;
    assert_int_equal(gdr_recipe_launch(&r, &a, NULL, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_int_equal(d.launched, 0);
    a.x = small.x;
    d.launch_status = GDR_ERR_LAUNCH;
    assert_int_equal(gdr_recipe_launch(&r, &a, NULL, msg, sizeof msg),
                     GDR_ERR_LAUNCH);
    assert_non_null(strstr(msg, "step 0"));
    gdr_recipe_unload(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_runs_each_unit_once),
        cmocka_unit_test(equal_bytes_share_and_fds_do_not_linger),
        cmocka_unit_test(images_do_not_mix),
        cmocka_unit_test(close_unloads_what_is_left),
        cmocka_unit_test(rubbish_is_refused),
        cmocka_unit_test(damaged_images_are_refused),
        cmocka_unit_test(where_nothing_loads_the_reason_is_given),
        cmocka_unit_test(without_memory_files_a_temporary_one_serves),
        cmocka_unit_test(the_callers_threads_are_used),
        cmocka_unit_test(threads_launch_at_once),
        cmocka_unit_test(impossible_launches_fail),
        cmocka_unit_test(the_device_describes_itself),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(backends_are_found_by_kind),
        cmocka_unit_test(states_begin_where_vectors_may),
        cmocka_unit_test(steps_launch_in_order_with_their_geometry),
        cmocka_unit_test(bad_steps_are_refused),
        cmocka_unit_test(overflow_and_failures_are_statuses),
    };
    return cmocka_run_group_tests(tests, make_images, free_images);
}

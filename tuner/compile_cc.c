/*
 * compile_cc.c - runs the compiler as a process group of its own: source from
 * a memory file on stdin, output to a memory file through /proc/self/fd, words
 * to a pipe. Nothing has a name on disk, so nothing can be left behind; the
 * compiler's own temporary object goes with its SIGTERM handler.
 */
#include "compile_cc.h"
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CC_WORDS = 16, ARGS = 40, OUTPUT_FD = 9 };

/* Ten times the largest kernel seen with full debug information. */
static const rlim_t longest_output = 64u << 20;

/* For the least source there is: 1000 times what it usually takes. */
static const double probe_limit_s = 10;

/* A language, and how its compilers are found and asked. */
typedef struct language {
    const char *name;         /* of -x */
    const char *own;          /* the variable that names the user's compiler */
    const char *tried[4];     /* else these; ended by NULL */
    const char *const *flags; /* ended by NULL */
    const char *const *clang; /* more of them, for clang; or NULL */
    const char *library;      /* NULL: none */
    int native;               /* for this very processor? */
    const char *wanted;       /* for messages */
    const char *package;
} language;

/* A found compiler: its command line so far. */
typedef struct compiler {
    char path[PATH_MAX];  /* resolved argv[0] */
    char words[PATH_MAX]; /* what $CC held, cut at blanks */
    const char *argv[ARGS];
    int argc;
    const language *language;
} compiler;

/* What both gcc and clang take, and what makes results depend on the source
 * alone: contraction only where the source says fma. */
static const char *const c_flags[] = {
    "-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-shared",
    "-fPIC",      NULL};

static const language c = {
    .name = "c",
    .own = "CC",
    .tried = {"cc", "gcc", "clang", NULL},
    .flags = c_flags,
    .library = "-lm",
    .native = 1,
    .wanted = "C",
    .package = "gcc",
};

/* Kernels of the emulator: the thread sanitizer's calls without its library,
 * lines, no tail calls (they hide who called), rounding as written. */
static const char *const emulated_flags[] = {"-std=c++17",
                                             "-O1",
                                             "-g1",
                                             "-shared",
                                             "-fPIC",
                                             "-nostdlib",
                                             "-fsanitize=thread",
                                             "-fvisibility=hidden",
                                             "-fno-exceptions",
                                             "-fno-rtti",
                                             "-Wno-attributes",
                                             "-ffp-contract=off",
                                             "-fno-math-errno",
                                             "-fno-optimize-sibling-calls",
                                             "-Wl,-z,defs",
                                             NULL};

/* clang alone: or the read of "x += 1" is not announced. */
static const char *const emulated_clang_flags[] = {
    "-mllvm", "-tsan-instrument-read-before-write=1", NULL};

static const language emulated = {
    .name = "c++",
    .own = "CXX",
    .tried = {"c++", "g++", "clang++", NULL},
    .flags = emulated_flags,
    .clang = emulated_clang_flags,
    .wanted = "C++",
    .package = "g++",
};

#if defined(__aarch64__)
static const char native_flag[] = "-mcpu=native";
#else
static const char native_flag[] = "-march=native";
#endif

/* ---- finding it ---- */

static int executable(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0 && S_ISREG(s.st_mode) && access(path, X_OK) == 0;
}

/* Looks name up in $PATH as a shell does; no default when PATH is unset, so
 * that what runs is what the user would run. */
static int search_path(const char *name, char *out, size_t n)
{
    const char *at = getenv("PATH");

    if (strchr(name, '/'))
        return snprintf(out, n, "%s", name) < (int)n && executable(out);
    while (at && *at) {
        size_t dir = strcspn(at, ":");
        int length =
            snprintf(out, n, "%.*s/%s", (int)dir, dir ? at : ".", name);
        if (length < (int)n && executable(out))
            return 1;
        at += dir + (at[dir] == ':');
    }
    return 0;
}

static int split_words(compiler *cc, const char *text)
{
    char *rest = NULL;

    cc->argc = 0;
    if (strlen(text) >= sizeof cc->words)
        return 0;
    memcpy(cc->words, text, strlen(text) + 1);
    for (char *w = strtok_r(cc->words, " \t\n", &rest);
         w && cc->argc < CC_WORDS; w = strtok_r(NULL, " \t\n", &rest))
        cc->argv[cc->argc++] = w;
    return cc->argc > 0;
}

static int try_compiler(compiler *cc, const char *command)
{
    return split_words(cc, command) &&
           search_path(cc->argv[0], cc->path, sizeof cc->path);
}

/* Who asks for a compiler gets that one or none. */
static gdr_status find_own(const language *l, compiler *cc, const char *own,
                           char *msg, size_t n)
{
    if (try_compiler(cc, own))
        return GDR_OK;
    if (msg)
        snprintf(msg, n, "%s is '%s': no such program; correct %s or unset it",
                 l->own, own, l->own);
    return GDR_ERR_COMPILE;
}

static gdr_status find_compiler(const language *l, compiler *cc, char *msg,
                                size_t n)
{
    const char *own = getenv(l->own);

    memset(cc, 0, sizeof *cc);
    cc->language = l;
    if (own && own[strspn(own, " \t\n")])
        return find_own(l, cc, own, msg, n);
    for (int i = 0; l->tried[i]; i++)
        if (try_compiler(cc, l->tried[i]))
            return GDR_OK;
    if (msg)
        snprintf(msg, n,
                 "no %s compiler: tried %s, %s, %s in PATH=%s; "
                 "install %s (apt-get install %s) or set %s",
                 l->wanted, l->tried[0], l->tried[1], l->tried[2],
                 getenv("PATH") ? getenv("PATH") : "", l->package, l->package,
                 l->own);
    return GDR_ERR_COMPILE;
}

static void add(compiler *cc, const char *word)
{
    if (cc->argc < ARGS - 1)
        cc->argv[cc->argc++] = word;
}

/* ---- running it ---- */

/* One run of the compiler. */
typedef struct job {
    int input;  /* becomes stdin */
    int output; /* becomes OUTPUT_FD */
    double limit_s;
    char *words; /* what it said on stdout and stderr, cut at n */
    size_t n, said;
    int timed_out;
} job;

static gdr_status spawn_group(const compiler *cc, const job *j, int words,
                              pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    int error;

    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    posix_spawn_file_actions_adddup2(&files, j->input, 0);
    posix_spawn_file_actions_adddup2(&files, words, 1);
    posix_spawn_file_actions_adddup2(&files, words, 2);
    if (j->output >= 0)
        posix_spawn_file_actions_adddup2(&files, j->output, OUTPUT_FD);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    error = posix_spawn(pid, cc->path, &files, &attr, (char *const *)cc->argv,
                        environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return error ? GDR_ERR_COMPILE : GDR_OK;
}

/* Reads the words until the last writer is gone. 0 when the time is over. */
static int listen_to(job *j, int fd, double until_s)
{
    char rest[4096];

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        double left_s = until_s - gdr_now();
        int keep = j->said + 1 < j->n;
        ssize_t n;

        if (left_s <= 0)
            return 0;
        if (poll(&p, 1, (int)(left_s * 1e3) + 1) <= 0)
            continue;
        n = keep ? read(fd, j->words + j->said, j->n - 1 - j->said)
                 : read(fd, rest, sizeof rest);
        if (n == 0)
            return 1;
        if (n > 0 && keep)
            j->said += (size_t)n;
    }
}

/* SIGTERM first: gcc removes its temporary files on it. */
static void end_group(pid_t pid)
{
    int status;

    kill(-pid, SIGTERM);
    for (int i = 0; i < 20; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            kill(-pid, SIGKILL);
            return;
        }
        usleep(10000);
    }
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
}

/* Waits for one that has closed its output, but not past until_s. */
static int reap(pid_t pid, double until_s, int *status)
{
    pid_t got;

    while ((got = waitpid(pid, status, WNOHANG)) == 0 ||
           (got < 0 && errno == EINTR)) {
        if (gdr_now() > until_s)
            return 0;
        usleep(200);
    }
    return got == pid;
}

static void bound_output(pid_t pid)
{
    struct rlimit limit = {longest_output, longest_output};
    struct rlimit core = {0, 0};

    prlimit(pid, RLIMIT_FSIZE, &limit, NULL);
    prlimit(pid, RLIMIT_CORE, &core, NULL);
}

/* Exit status of the compiler; -1 when it did not end by itself. */
static int run_compiler(compiler *cc, job *j)
{
    double until_s = gdr_now() + j->limit_s;
    int pipes[2] = {-1, -1}, status = -1, result = -1;
    pid_t pid = 0;

    j->said = 0;
    cc->argv[cc->argc] = NULL;
    if (pipe2(pipes, O_CLOEXEC))
        return -1;
    if (spawn_group(cc, j, pipes[1], &pid) != GDR_OK)
        goto done;
    bound_output(pid);
    close(pipes[1]);
    pipes[1] = -1;
    if (listen_to(j, pipes[0], until_s) && reap(pid, until_s, &status)) {
        result = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    } else {
        j->timed_out = 1;
        end_group(pid);
    }
done:
    if (j->n)
        j->words[j->said] = 0;
    for (int i = 0; i < 2; i++)
        if (pipes[i] >= 0)
            close(pipes[i]);
    return result;
}

/* A memory file with these bytes, read from its start. -1: none. Above
 * OUTPUT_FD, which dup2 in the child would otherwise close. */
static int memory_file(const void *data, size_t bytes)
{
    int low = memfd_create("gdr-source", MFD_CLOEXEC);
    int fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, OUTPUT_FD + 1);
    const char *at = data;

    if (low >= 0)
        close(low);
    while (fd >= 0 && bytes) {
        ssize_t n = write(fd, at, bytes);
        if (n <= 0) {
            close(fd);
            return -1;
        }
        at += n;
        bytes -= (size_t)n;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

/* ---- one compilation ---- */

/* By its name, or by that of what it is a link to ("c++"). */
static int is_clang(const compiler *cc)
{
    char real[PATH_MAX];

    for (int i = 0; i < cc->argc; i++)
        if (strstr(cc->argv[i], "clang"))
            return 1;
    return realpath(cc->path, real) && strstr(real, "clang");
}

static void add_flags(compiler *cc, int native)
{
    const char *const *more = cc->language->clang;

    for (int i = 0; more && is_clang(cc) && more[i]; i++)
        add(cc, more[i]);
    for (int i = 0; cc->language->flags[i]; i++)
        add(cc, cc->language->flags[i]);
    if (native)
        add(cc, native_flag);
}

/* Did it refuse because it does not know this processor? */
static int refused_native(const char *words)
{
    return strstr(words, "march=") || strstr(words, "mcpu=") ||
           strstr(words, "target CPU") || strstr(words, "bad value");
}

static void *slurp(int fd, size_t *bytes)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *data;

    *bytes = 0;
    if (size <= 0 || !(data = malloc((size_t)size + 1)))
        return NULL;
    while (*bytes < (size_t)size) {
        ssize_t n =
            pread(fd, data + *bytes, (size_t)size - *bytes, (off_t)*bytes);
        if (n <= 0) {
            free(data);
            return NULL;
        }
        *bytes += (size_t)n;
    }
    data[size] = 0;
    return data;
}

/* The macros that the same flags predefine: they tell the instruction set. */
static char *read_macros(const compiler *base, int native, double limit_s)
{
    enum { ROOM = 256 << 10 };
    compiler cc = *base;
    char *text = malloc(ROOM);
    job j = {.output = -1, .limit_s = limit_s, .words = text, .n = ROOM};
    int bad;

    if (!text)
        return NULL;
    add_flags(&cc, native);
    add(&cc, "-dM");
    add(&cc, "-E");
    add(&cc, "-x");
    add(&cc, cc.language->name);
    add(&cc, "-");
    j.input = memory_file("", 0);
    bad = j.input < 0 || run_compiler(&cc, &j) != 0;
    if (j.input >= 0)
        close(j.input);
    if (bad) {
        free(text);
        return NULL;
    }
    return text;
}

static int compile_once(const compiler *base, int native, job *j)
{
    compiler cc = *base;
    char output[32];

    snprintf(output, sizeof output, "/proc/self/fd/%d", OUTPUT_FD);
    add_flags(&cc, native);
    add(&cc, "-x");
    add(&cc, cc.language->name);
    add(&cc, "-");
    add(&cc, "-o");
    add(&cc, output);
    if (cc.language->library)
        add(&cc, cc.language->library);
    lseek(j->input, 0, SEEK_SET);
    if (ftruncate(j->output, 0))
        return -1;
    return run_compiler(&cc, j);
}

static void explain_failure(const compiler *cc, const job *j, int code)
{
    size_t at = j->said;

    if (at >= j->n)
        return;
    if (j->timed_out)
        snprintf(j->words + at, j->n - at, "%s: no result after %g s, killed",
                 cc->path, j->limit_s);
    else if (code == 0)
        snprintf(j->words + at, j->n - at, "%s: success, but no code",
                 cc->path);
    else if (!at && code < 0)
        snprintf(j->words, j->n, "%s: did not start, or was killed", cc->path);
    else if (!at)
        snprintf(j->words, j->n, "%s: exit status %d", cc->path, code);
}

static int open_files(job *j, const char *source, size_t bytes)
{
    j->input = memory_file(source, bytes);
    j->output = memory_file("", 0);
    return j->input >= 0 && j->output >= 0;
}

static void close_files(const job *j)
{
    if (j->input >= 0)
        close(j->input);
    if (j->output >= 0)
        close(j->output);
}

/* Does it compile anything at all? Not with a full $TMPDIR, for example. */
static int works(const compiler *cc, int native, double limit_s)
{
    static const char least[] = "int gdr_least;\n";
    char words[256];
    job j = {.limit_s = limit_s, .words = words, .n = sizeof words};
    int ok = open_files(&j, least, sizeof least - 1) &&
             compile_once(cc, native, &j) == 0 &&
             lseek(j.output, 0, SEEK_END) > 0;

    close_files(&j);
    return ok;
}

/* Whose fault it was: the source's, or the machine's. gcc and clang both say
 * "Killed" when the kernel took the memory of a part of theirs. */
static gdr_status blame(const compiler *cc, int native, const job *j)
{
    double limit_s = j->limit_s < probe_limit_s ? j->limit_s : probe_limit_s;

    if (strstr(j->words, "Killed"))
        return GDR_ERR_NO_MEMORY;
    return works(cc, native, limit_s) ? GDR_ERR_COMPILE : GDR_ERR_IO;
}

static gdr_status run_job(const compiler *cc, job *j, int *native, void **code,
                          size_t *bytes)
{
    int result = compile_once(cc, *native = cc->language->native, j);

    if (result > 0 && *native && refused_native(j->words))
        result = compile_once(cc, *native = 0, j);
    if (result == 0)
        *code = slurp(j->output, bytes);
    if (*code)
        return GDR_OK;
    explain_failure(cc, j, result);
    return blame(cc, *native, j);
}

static gdr_status compile(const language *l, const char *source,
                          size_t source_bytes, double limit_s, void **code,
                          size_t *bytes, char **macros, char *log, size_t n)
{
    char own_log[2048];
    job j = {.limit_s = limit_s,
             .words = n > 1 ? log : own_log,
             .n = n > 1 ? n : sizeof own_log};
    gdr_status st;
    compiler cc;
    int native;

    *code = NULL;
    *bytes = 0;
    if (macros)
        *macros = NULL;
    if (find_compiler(l, &cc, log, n) != GDR_OK)
        return GDR_ERR_IO;
    st = GDR_ERR_NO_MEMORY;
    if (open_files(&j, source, source_bytes))
        st = run_job(&cc, &j, &native, code, bytes);
    else
        snprintf(j.words, j.n, "no file in memory: %s", strerror(errno));
    if (st == GDR_OK && macros &&
        !(*macros = read_macros(&cc, native, limit_s))) {
        snprintf(j.words, j.n,
                 "%s: -dM -E failed; its macros tell the instruction set",
                 cc.path);
        st = GDR_ERR_COMPILE;
    }
    close_files(&j);
    if (st != GDR_OK) {
        free(*code);
        *code = NULL;
    }
    return st;
}

gdr_status gdr_cc_compile(const char *source, size_t source_bytes,
                          double limit_s, void **code, size_t *bytes,
                          char **macros, char *log, size_t n)
{
    return compile(&c, source, source_bytes, limit_s, code, bytes, macros, log,
                   n);
}

gdr_status gdr_cxx_compile(const char *source, size_t source_bytes,
                           double limit_s, void **code, size_t *bytes,
                           char *log, size_t n)
{
    return compile(&emulated, source, source_bytes, limit_s, code, bytes, NULL,
                   log, n);
}

static gdr_status identity(const language *l, char *text, size_t text_n,
                           char *msg, size_t n)
{
    char words[1024];
    compiler cc;
    gdr_status st = find_compiler(l, &cc, msg, n);
    job j = {.output = -1, .limit_s = 20, .words = words, .n = sizeof words};
    compiler flags = {.argc = 0, .language = l};
    size_t at;

    if (st != GDR_OK)
        return st;
    add(&cc, "--version");
    j.input = memory_file("", 0);
    if (j.input < 0)
        return GDR_ERR_NO_MEMORY;
    if (run_compiler(&cc, &j) != 0) {
        if (msg)
            snprintf(msg, n, "%s --version failed: %.*s", cc.path,
                     (int)strcspn(words, "\n"), words);
        st = GDR_ERR_COMPILE;
    }
    close(j.input);
    add_flags(&flags, l->native);
    at = (size_t)snprintf(text, text_n, "%.*s", (int)strcspn(words, "\n"),
                          words);
    for (int i = 0; i < flags.argc && at < text_n; i++)
        at += (size_t)snprintf(text + at, text_n - at, " %s", flags.argv[i]);
    return st;
}

gdr_status gdr_cc_identity(char *text, size_t text_n, char *msg, size_t n)
{
    return identity(&c, text, text_n, msg, n);
}

gdr_status gdr_cxx_identity(char *text, size_t text_n, char *msg, size_t n)
{
    return identity(&emulated, text, text_n, msg, n);
}

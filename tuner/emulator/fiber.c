/*
 * fiber.c - see fiber.h. What must stay true: the address sanitizer hears of
 * each switch, or it takes one stack for the overflow of another.
 */
#include "fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define TELL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TELL_ASAN 1
#endif
#endif

#ifdef TELL_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/* ---- telling the sanitizer ---- */

static void before(gdr_fiber *from, const gdr_fiber *to, int dying)
{
#ifdef TELL_ASAN
    __sanitizer_start_switch_fiber(dying ? NULL : &from->fake, to->stack,
                                   to->bytes);
#else
    (void)from;
    (void)to;
    (void)dying;
#endif
}

static void after(gdr_fiber *self)
{
#ifdef TELL_ASAN
    __sanitizer_finish_switch_fiber(self->fake, NULL, NULL);
#else
    (void)self;
#endif
}

static void begin(gdr_fiber *self)
{
#ifdef TELL_ASAN
    __sanitizer_finish_switch_fiber(NULL, &self->home->stack,
                                    &self->home->bytes);
#endif
    self->run(self->arg);
    abort(); /* run leaves */
}

void gdr_fiber_wipe(void *stack, size_t bytes)
{
#ifdef TELL_ASAN
    /* a fiber that was given up left its frames marked */
    __asan_unpoison_memory_region(stack, bytes);
#else
    (void)stack;
    (void)bytes;
#endif
}

/* ---- switching ---- */

#if defined(__x86_64__)

void gdr_fiber_swap(void **save, void *to);
void gdr_fiber_first(void);

/* System V: rbx, rbp, r12 to r15 are kept over a call, and nothing else is. */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl gdr_fiber_swap\n"
        ".hidden gdr_fiber_swap\n"
        ".type gdr_fiber_swap, @function\n"
        "gdr_fiber_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size gdr_fiber_swap, .-gdr_fiber_swap\n"
        ".globl gdr_fiber_first\n"
        ".hidden gdr_fiber_first\n"
        ".type gdr_fiber_first, @function\n"
        "gdr_fiber_first:\n"
        "    movq %rbx, %rdi\n"
        "    xorl %ebp, %ebp\n"
        "    callq *%r12\n"
        "    ud2\n"
        ".size gdr_fiber_first, .-gdr_fiber_first\n");

/* What swap pops, from the stack pointer up. */
enum { R15, R14, R13, R12, RBX, RBP, RETURN, FRAME };

static void make_frame(gdr_fiber *f, char *top)
{
    void (*entry)(gdr_fiber *) = begin;
    void (*first)(void) = gdr_fiber_first;
    void **frame = (void **)(void *)top - FRAME;

    memset(frame, 0, FRAME * sizeof *frame);
    memcpy(&frame[R12], &entry, sizeof entry);
    memcpy(&frame[RETURN], &first, sizeof first);
    frame[RBX] = f;
    f->sp = frame;
}

static void swap(gdr_fiber *from, gdr_fiber *to)
{
    gdr_fiber_swap(&from->sp, to->sp);
}

#else

/* makecontext passes ints. */
static void enter(unsigned high, unsigned low)
{
    begin((gdr_fiber *)(uintptr_t)((uint64_t)high << 32 | low));
}

static void make_frame(gdr_fiber *f, char *top)
{
    uint64_t self = (uintptr_t)f;

    getcontext(&f->context);
    f->context.uc_stack.ss_sp = (void *)f->stack;
    f->context.uc_stack.ss_size = (size_t)(top - (const char *)f->stack);
    f->context.uc_link = NULL;
    makecontext(&f->context, (void (*)(void))enter, 2, (unsigned)(self >> 32),
                (unsigned)self);
}

static void swap(gdr_fiber *from, gdr_fiber *to)
{
    swapcontext(&from->context, &to->context);
}

#endif

void gdr_fiber_prepare(gdr_fiber *f, void *stack, size_t bytes, size_t stagger,
                       void (*run)(void *), void *arg)
{
    *f = (gdr_fiber){.stack = stack, .bytes = bytes, .run = run, .arg = arg};
    gdr_fiber_wipe(stack, bytes);
    make_frame(f, (char *)stack + bytes - (stagger + 63) / 64 * 64);
}

void gdr_fiber_switch(gdr_fiber *from, gdr_fiber *to)
{
    if (!to->home)
        to->home = from;
    before(from, to, 0);
    swap(from, to);
    after(from);
}

_Noreturn void gdr_fiber_leave(gdr_fiber *from, gdr_fiber *to)
{
    before(from, to, 1);
    swap(from, to);
    abort();
}

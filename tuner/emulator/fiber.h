/*
 * fiber.h - a thread of a card as a stack of its own, switched to by hand. One
 * switch on x86-64 is eight instructions; elsewhere ucontext does it.
 *
 * Life cycle: prepare on memory of the caller's, switch to and fro, leave as
 * the last act. All in one thread of the system.
 */
#ifndef GDR_FIBER_H
#define GDR_FIBER_H

#include <stddef.h>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

typedef struct gdr_fiber {
    void *sp;
    const void *stack; /* the caller's; of the first fiber: learned */
    size_t bytes;
    struct gdr_fiber *home; /* who switched here first */
    void *fake;             /* what the address sanitizer keeps of it */
    void (*run)(void *);
    void *arg;
#if !defined(__x86_64__)
    ucontext_t context;
#endif
} gdr_fiber;

/* run(arg) begins at the first switch and must end with gdr_fiber_leave.
 * stagger: bytes left free at the top, so that the stacks of many do not meet
 * in the same cache sets. A stack may be prepared again at any time. */
void gdr_fiber_prepare(gdr_fiber *f, void *stack, size_t bytes, size_t stagger,
                       void (*run)(void *), void *arg);

/* Before the memory of stacks becomes something else: the address sanitizer
 * forgets the frames on them. */
void gdr_fiber_wipe(void *stack, size_t bytes);

/* Runs `to` until it switches back. The first `from` of all is the thread's
 * own stack: a zeroed gdr_fiber. */
void gdr_fiber_switch(gdr_fiber *from, gdr_fiber *to);
/* The same, never to return. */
_Noreturn void gdr_fiber_leave(gdr_fiber *from, gdr_fiber *to);

#endif

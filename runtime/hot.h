/*
 * hot.h - functions that run at every call lie side by side in the library. A
 * driver's launch throws our code out of the nearest caches and of the table of
 * pages; what comes back is few lines of few pages.
 */
#ifndef GDR_HOT_H
#define GDR_HOT_H

#define GDR_HOT __attribute__((hot))

#endif

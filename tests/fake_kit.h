/*
 * fake_kit.h - the fake NVIDIA driver (fake/libcuda.c) for tests: a program
 * starts itself again with the driver on the loader's path, then chooses the
 * cards of each test by their description.
 */
#ifndef FAKE_KIT_H
#define FAKE_KIT_H

#include "../runtime/recipe.h"

/* First thing in main: starts the program again where the fake driver is not
 * yet on the loader's path. */
void fake_kit_restart(char **argv);

/* 0: this build has no cuda device; skip. */
int fake_kit_usable(void);

/* The card `name` of the cards that config describes ($FAKE_CUDA). */
gdr_status fake_kit_open(const char *config, const char *name, void **dev,
                         char *msg, size_t n);

/* PTX that the fake driver computes as this problem. Returns its length. */
size_t fake_kit_image(char *out, size_t n, const char *statics,
                      const char *words);

/* What the driver counted; see fake/fake.h. */
long fake_kit_count(const char *what);

#endif

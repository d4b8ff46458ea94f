/*
 * agenda.h - which problems a run is about: shape lists and --only, checked,
 * each once, grouped by their static part in the order of their coming.
 */
#ifndef GDR_AGENDA_H
#define GDR_AGENDA_H

#include "../generator/generator.h"

enum { GDR_AGENDA_SHARES = 64 };

typedef struct gdr_group {
    gdr_static s;
    gdr_problem *problem; /* [n] */
    int n, room;
} gdr_group;

typedef struct gdr_agenda {
    gdr_group *group; /* [n] */
    int n, room;
    int64_t problems;
} gdr_agenda;

/* Where problems come from. */
typedef struct gdr_agenda_sources {
    const char *const *shapes; /* names or files of lists */
    int n_shapes;
    const char *const *only;
    int n_only;
    const char *misses; /* a file of gdr_misses_append, or NULL */
} gdr_agenda_sources;

/*
 * only: a problem with extents is tuned, in a list or not; a static text keeps
 * what lists and misses have of it. Where nothing else names problems the
 * default list does. Errors name the text and the remedy.
 */
gdr_status gdr_agenda_read(gdr_generator *g, const gdr_agenda_sources *from,
                           gdr_agenda *out, char *msg, size_t n);
/* Keeps part `share` of `shares`: by static problems where there are enough, so
 * that each is compiled and checked once, else by problems. The parts are even,
 * and together everything. */
void gdr_agenda_share(gdr_agenda *a, int share, int shares);
void gdr_agenda_free(gdr_agenda *a);

/* What is tuned when nobody says what. */
extern const char gdr_agenda_default[];

#endif

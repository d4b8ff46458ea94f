/*
 * c_names.c - see c_names.h. It knows tokens, braces and parentheses, which is
 * enough for sources that a compiler has taken: at file scope a declared name
 * is the one before '(', ';', '=', '[', ',', '{' or an attribute.
 */
#include "c_names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct text {
    const char *at;
    size_t n;
} text;

typedef struct names {
    text *name;
    size_t n, room;
    int failed; /* out of memory */
} names;

static int equal(text a, const char *b)
{
    return strlen(b) == a.n && !memcmp(a.at, b, a.n);
}

static int is_name(text t)
{
    return t.n > 0 && (isalpha((unsigned char)*t.at) || *t.at == '_');
}

/* ---- tokens ---- */

static size_t length_of_literal(const char *s)
{
    size_t n = 1;

    while (s[n] && s[n] != *s)
        n += s[n] == '\\' && s[n + 1] ? 2 : 1;
    return s[n] ? n + 1 : n;
}

static size_t length_of_comment(const char *s)
{
    const char *end = s[1] == '/' ? strchr(s, '\n') : strstr(s + 2, "*/");

    if (!end)
        return strlen(s);
    return (size_t)(end - s) + (s[1] == '/' ? 0 : 2);
}

/* Names and numbers are words; blanks, comments, literals and each other
 * character are tokens, too, so that nothing is lost. */
static text token(const char *s)
{
    text t = {s, 1};

    if (s[0] == '"' || s[0] == '\'')
        t.n = length_of_literal(s);
    else if (s[0] == '/' && (s[1] == '*' || s[1] == '/'))
        t.n = length_of_comment(s);
    else if (s[0] == '\\' && s[1] == '\n')
        t.n = 2;
    else if (isalnum((unsigned char)s[0]) || s[0] == '_')
        while (isalnum((unsigned char)s[t.n]) || s[t.n] == '_')
            t.n++;
    return t;
}

static int is_blank(text t)
{
    return isspace((unsigned char)*t.at) || *t.at == '\\' ||
           (t.n > 1 && *t.at == '/');
}

/* The next token that means something; n 0 at the end. */
static text next(const char *s)
{
    text t = {s, 0};

    while (*s) {
        t = token(s);
        if (!is_blank(t))
            return t;
        s += t.n;
    }
    t.at = s;
    t.n = 0;
    return t;
}

/* Behind the line, as the preprocessor sees lines. */
static const char *end_of_line(const char *s)
{
    while (*s && *s != '\n')
        s += token(s).n;
    return s;
}

/* ---- what a source declares ---- */

static int has(const names *all, text t)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->name[i].n == t.n && !memcmp(all->name[i].at, t.at, t.n))
            return 1;
    return 0;
}

static void add(names *all, text t)
{
    static const char *const keywords[] = {"struct", "union",  "enum",
                                           "sizeof", "typeof", "const"};
    text *more;

    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (equal(t, keywords[i]))
            return;
    if (*t.at == '_' || has(all, t))
        return;
    if (all->n == all->room) {
        all->room = all->room ? 2 * all->room : 64;
        more = realloc(all->name, all->room * sizeof *more);
        if (!more) {
            all->failed = 1;
            all->room = all->n;
            return;
        }
        all->name = more;
    }
    all->name[all->n++] = t;
}

static void add_macro(names *all, const char *hash)
{
    text word = next(hash + 1);
    text name = next(word.at + word.n);

    if (equal(word, "define") && is_name(name))
        add(all, name);
}

/* Where one is in a source. */
typedef struct place {
    int brace, paren;
    int in_enum; /* since the last ';' or '}' of file scope, "enum" was said */
    char before; /* the first character of the token before */
} place;

static int declares(const place *p, text t)
{
    text after;

    if (!is_name(t) || p->paren > 0)
        return 0;
    if (p->brace == 1)
        return p->in_enum && (p->before == '{' || p->before == ',');
    after = next(t.at + t.n);
    return p->brace == 0 && ((after.n == 1 && strchr("(;=[,{", *after.at)) ||
                             equal(after, "__attribute__"));
}

static void go_on(place *p, text t)
{
    p->brace += *t.at == '{';
    p->brace -= *t.at == '}';
    p->paren += *t.at == '(';
    p->paren -= *t.at == ')';
    if (p->brace == 0 && (*t.at == ';' || *t.at == '}'))
        p->in_enum = 0;
    else if (p->brace == 0 && equal(t, "enum"))
        p->in_enum = 1;
    p->before = *t.at;
}

static void collect(names *all, const char *source)
{
    place p = {0};
    text t;

    for (const char *s = source; (t = next(s)).n > 0; s = t.at + t.n)
        if (*t.at == '#') {
            add_macro(all, t.at);
            t.at = end_of_line(t.at);
            t.n = 0;
        } else {
            if (declares(&p, t))
                add(all, t);
            go_on(&p, t);
        }
}

/* ---- writing ---- */

static int is_directive(const char *hash, const char *word)
{
    return *hash == '#' && equal(next(hash + 1), word);
}

gdr_status gdr_c_names_write(const char *source, const char *suffix, FILE *out)
{
    names all = {0};
    text t;

    collect(&all, source);
    for (const char *s = source; *s && !all.failed; s = t.at + t.n) {
        t = token(s);
        if (is_directive(s, "line")) {
            t.at = end_of_line(s);
            t.n = *t.at == '\n';
            continue;
        }
        if (is_directive(s, "include"))
            t.n = (size_t)(end_of_line(s) - s);
        fwrite(t.at, 1, t.n, out);
        if (is_name(t) && has(&all, t))
            fputs(suffix, out);
    }
    free(all.name);
    return all.failed ? GDR_ERR_NO_MEMORY : GDR_OK;
}

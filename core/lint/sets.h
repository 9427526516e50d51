/* sets.h - option sets to try a plugin with, as texts "r=8,alpha=16". */
#ifndef VITRO_LINT_SETS_H
#define VITRO_LINT_SETS_H

#include "lab.h"

enum { SETS_MAX = 160, SET_TEXT = 4096 };
struct sets {
    char (*text)[SET_TEXT];
    size_t count;
};

/* The subject's own options first. USUAL: then, one option at a time, the values of its grid, every name of
 * a choice, both booleans, and a number beside the default; last, all options beside theirs. CHOICES: then only the names and booleans.
 * EXTREME: then all at their least, all at their most, each alone at either, and random ones. */
enum sets_kind { SETS_USUAL, SETS_CHOICES, SETS_EXTREME };
int sets_make(struct sets *sets, struct subject *s, enum sets_kind kind);
void sets_free(struct sets *sets);

#endif

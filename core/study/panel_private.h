/* panel_private.h - what the files that make panels share. */
#ifndef VITRO_STUDY_PANEL_PRIVATE_H
#define VITRO_STUDY_PANEL_PRIVATE_H

#include "memory.h"
#include "panel_load.h"

#include <stdarg.h>

struct loaded {
    struct arena arena;
    struct panel panel;
    struct panel_pack *packs; /* the panel's, while they are filled */
    int failed;               /* the first failure of the arena */
};

/* Adds a sentence that a reader must see. */
void loaded_flag(struct loaded *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

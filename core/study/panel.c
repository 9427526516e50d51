/* panel.c - the names of panel.h's states. */
#include "panel.h"

#include <stddef.h>

const char *const panel_states[] = {"missing", "done", "diverged", "failed", NULL};

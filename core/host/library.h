/* library.h - a plugin's file opened as such, before anything in it is believed: for a judge that looks at
 * the steps of plugins_load one by one. */
#ifndef VITRO_HOST_LIBRARY_H
#define VITRO_HOST_LIBRARY_H

#include <stddef.h>

/* Opens the file, which runs its constructors, for good; *symbol is its vitro_plugin. */
int library_open(const char *path, const void **symbol);

struct library_range {
    const unsigned char *bytes;
    size_t size;
};
/* The memory that the library holding `symbol` may write: its globals. At most `room` ranges; returns how
 * many there are. */
size_t library_globals(const void *symbol, struct library_range *out, size_t room);

#endif

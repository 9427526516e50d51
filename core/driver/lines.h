/* lines.h - a file of one text a line: names of classes, templates. */
#ifndef VITRO_DRIVER_LINES_H
#define VITRO_DRIVER_LINES_H

#include <stddef.h>

struct lines { /* a zeroed one is empty */
    char **line;
    size_t count;
};
/* Appends; empty lines are left out, line ends of any system taken off. */
int lines_read(struct lines *l, const char *path);
int lines_add(struct lines *l, const char *text);
void lines_free(struct lines *l); /* an empty one is fine */

#endif

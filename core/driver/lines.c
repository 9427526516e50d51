/* lines.c - see lines.h. */
#include "lines.h"

#include "error.h"
#include "file.h"
#include "memory.h"

#include <string.h>

enum { LIMIT = 16 << 20 }; /* bytes of a file */

int lines_add(struct lines *l, const char *text)
{
    char **more = mem_grow(l->line, l->count, l->count + 1, sizeof *more);
    if (!more)
        return ERR_MEMORY;
    l->line = more;
    l->line[l->count] = mem_string(text);
    return l->line[l->count++] ? 0 : ERR_MEMORY;
}

int lines_read(struct lines *l, const char *path)
{
    char *text = NULL, *state = NULL;
    size_t size;
    TRY(file_read(path, LIMIT, &text, &size));
    int rc = strlen(text) == size ? 0 : fail(ERR_INPUT, "%s is no file of lines: it holds a byte 0", path);
    for (char *line = strtok_r(text, "\r\n", &state); line && rc == 0; line = strtok_r(NULL, "\r\n", &state))
        rc = lines_add(l, line);
    if (rc == 0 && !l->count)
        rc = fail(ERR_INPUT, "%s is empty", path);
    mem_free(text);
    return rc;
}

void lines_free(struct lines *l)
{
    for (size_t i = 0; i < l->count; i++)
        mem_free(l->line[i]);
    mem_free(l->line);
    *l = (struct lines){0};
}

/* shape.c - shapes: construction, comparison, text. */
#include "tape.h"

#include <stdio.h>

struct shape shape_of(int rank, const int32_t *dim)
{
    struct shape s = {.rank = rank > SHAPE_RANK ? SHAPE_RANK : rank};
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = dim[i];
    return s;
}

int64_t shape_count(struct shape s)
{
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++)
        n *= s.dim[i];
    return n;
}

int shape_equal(struct shape a, struct shape b)
{
    if (a.rank != b.rank)
        return 0;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i])
            return 0;
    return 1;
}

char *shape_text(struct shape s, char text[SHAPE_TEXT])
{
    int n = snprintf(text, SHAPE_TEXT, "[");
    for (int i = 0; i < s.rank; i++)
        n += snprintf(text + n, SHAPE_TEXT - (size_t)n, i ? " %d" : "%d", s.dim[i]);
    snprintf(text + n, SHAPE_TEXT - (size_t)n, "]");
    return text;
}

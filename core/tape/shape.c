/* shape.c - shapes: construction, comparison, text. */
#include "tape_private.h"

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

int shape_broadcast(struct shape a, struct shape b, struct shape *out)
{
    struct shape s = {.rank = a.rank > b.rank ? a.rank : b.rank};
    for (int i = 1; i <= s.rank; i++) {
        int32_t da = i <= a.rank ? a.dim[a.rank - i] : 1, db = i <= b.rank ? b.dim[b.rank - i] : 1;
        if (da != db && da != 1 && db != 1)
            return -1;
        s.dim[s.rank - i] = da > db ? da : db;
    }
    *out = s;
    return 0;
}

char *shape_text(struct shape s, char text[SHAPE_TEXT])
{
    int n = snprintf(text, SHAPE_TEXT, "[");
    for (int i = 0; i < s.rank; i++)
        n += snprintf(text + n, SHAPE_TEXT - (size_t)n, i ? " %d" : "%d", s.dim[i]);
    snprintf(text + n, SHAPE_TEXT - (size_t)n, "]");
    return text;
}

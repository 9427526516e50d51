/* nearest.c - see nearest.h; Levenshtein's edit distance over short names. */
#include "nearest.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST = 48, FAR = 1000 };

static int edits(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    int row[LONGEST + 1];
    if (n > LONGEST || m > LONGEST)
        return FAR;
    for (size_t j = 0; j <= m; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

/* One word the beginning of the other (rank, r) is as close as one slip of the finger. */
static int is_beginning(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    return strncmp(a, b, n < m ? n : m) == 0;
}

struct nearest nearest_to(const char *word)
{
    return (struct nearest){.word = word, .distance = FAR};
}

void nearest_offer(struct nearest *n, const char *name)
{
    int distance = is_beginning(n->word, name) ? 1 : edits(n->word, name);
    if (distance < n->distance) {
        n->distance = distance;
        n->best = name;
    }
}

char *nearest_hint(const struct nearest *n, char text[NEAREST_TEXT])
{
    size_t longest = n->best ? strlen(n->word) > strlen(n->best) ? strlen(n->word) : strlen(n->best) : 0;
    text[0] = 0;
    if (n->best && (n->distance == 1 || (size_t)n->distance * 2 <= longest))
        snprintf(text, NEAREST_TEXT, "; did you mean %.60s?", n->best);
    return text;
}

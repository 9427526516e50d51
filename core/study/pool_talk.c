/* pool_talk.c - what workers print: lines of any length and content, of which "progress SHARE NOTE" and
 * "failed SENTENCE" mean something. */
#include "pool_private.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void text_clean(char *to, size_t size, const char *from, size_t length)
{
    size_t n = length < size - 1 ? length : size - 1;
    while (n < length && n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)from[i] < ' ' || from[i] == 127 ? '?' : from[i];
    to[n] = 0;
}

/* Only the newest progress is kept until it is told: a worker may report faster than anyone wants to hear. */
static void understand(struct talk *t)
{
    static const char word[] = "progress ", last_word[] = "failed ";
    char *end;
    t->line[t->used] = 0;
    t->spoke = 1;
    if (strncmp(t->line, last_word, sizeof last_word - 1) == 0)
        text_clean(t->failed, sizeof t->failed, t->line + sizeof last_word - 1,
                   t->used - (sizeof last_word - 1));
    if (strncmp(t->line, word, sizeof word - 1) != 0)
        return;
    double share = strtod(t->line + sizeof word - 1, &end);
    if (end == t->line + sizeof word - 1 || !(share >= 0 && share <= 1) || (*end != ' ' && *end))
        return;
    end += *end == ' ';
    t->share = share;
    text_clean(t->note, sizeof t->note, end, strlen(end));
    t->has_news = 1;
}

static void hear(struct worker *w, const char *bytes, size_t count)
{
    struct talk *t = &w->talk;
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            understand(t);
            t->used = 0;
            w->sign = clock_seconds();
        } else if (t->used < sizeof t->line - 1) {
            t->line[t->used++] = bytes[i];
        }
    }
}

size_t worker_listen(struct worker *w, size_t limit)
{
    char bytes[4096];
    size_t heard = 0;
    while (w->output >= 0 && heard < limit) {
        ssize_t n = read(w->output, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            if (w->talk.used)
                hear(w, "\n", 1); /* a last line without its end */
            close(w->output);
            w->output = -1;
            w->silent = clock_seconds();
            break;
        }
        hear(w, bytes, (size_t)n);
        heard += (size_t)n;
    }
    return heard;
}

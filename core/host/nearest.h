/* nearest.h - "did you mean": the offered name that a mistyped word is most like. */
#ifndef VITRO_HOST_NEAREST_H
#define VITRO_HOST_NEAREST_H

struct nearest {
    const char *word, *best; /* lent */
    int distance;            /* edits between the two */
};
struct nearest nearest_to(const char *word);
void nearest_offer(struct nearest *n, const char *name);

/* "; did you mean lora?", or "" when nothing offered is like the word. Returns text. */
enum { NEAREST_TEXT = 96 };
char *nearest_hint(const struct nearest *n, char text[NEAREST_TEXT]);

#endif

/* tokenize_lines.c - for reference/make_tokenizer_golden.py: VOCABULARY TEXTS.json, a list of texts; prints the
 * tokens of each on a line. */
#include "error.h"
#include "json.h"
#include "tokenizer.h"

#include <stdio.h>

enum { ROOM = 65536 };

int main(int argc, char **argv)
{
    static uint32_t ids[ROOM];
    struct tokenizer *t = NULL;
    struct json *texts = NULL;
    if (argc != 3 || tokenizer_open(&t, argv[1]) < 0 || json_read_file(&texts, argv[2]) < 0) {
        fprintf(stderr, "%s\n", argc == 3 ? error_text() : "usage: tokenize_lines VOCABULARY TEXTS.json");
        return 1;
    }
    int rc = 0;
    for (const struct json *text = json_first(texts); text && rc >= 0; text = json_next(text)) {
        rc = tokenizer_encode(t, json_string(text), ids, ROOM);
        for (int i = 0; i < rc; i++)
            printf("%u%c", ids[i], i + 1 < rc ? ' ' : '\n');
    }
    if (rc < 0)
        fprintf(stderr, "%s\n", error_text());
    json_destroy(texts);
    tokenizer_close(t);
    return rc < 0;
}

/* ledger_text.c - see ledger_text.h. The table below is both the order of writing and what reading asks for. */
#include "ledger_text.h"

#include "error.h"
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The seed is a text too: a double does not hold every one. */
#define TEXTS(X) X(when) X(study) X(method) X(pack) X(backbone) X(test) X(model) X(trial) X(reason)

static const char seal_begin[] = ",\"sha256\":\"", seal_end[] = "\"}";
enum { SEAL = sizeof seal_begin - 1 + HASH_TEXT - 1 + sizeof seal_end - 1 };

static int fill(struct json *j, const struct ledger_line *line, const char *previous)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, line->seed);
    TRY(json_set_integer(j, "number", (int64_t)line->number));
#define X(name) TRY(json_set_string(j, #name, line->name ? line->name : ""));
    TEXTS(X)
#undef X
    TRY(json_set_string(j, "seed", seed));
    return json_set_string(j, "previous", previous);
}

/* Puts the seal in place of the closing brace. */
static int seal(char **out, const char *text)
{
    char sum[HASH_TEXT];
    size_t length = strlen(text) - 1;
    TRY(hash_bytes(text, length, sum));
    char *sealed = mem_alloc(length + SEAL + 1, 1);
    if (!sealed)
        return ERR_MEMORY;
    snprintf(sealed, length + SEAL + 1, "%.*s%s%s%s", (int)length, text, seal_begin, sum, seal_end);
    *out = sealed;
    return 0;
}

int ledger_text_write(char **out, const struct ledger_line *line, const char *previous)
{
    struct json *j = json_object();
    char *text = NULL;
    int rc = j ? fill(j, line, previous) : ERR_MEMORY;
    *out = NULL;
    if (rc == 0 && !(text = json_text(j, 0)))
        rc = fail(ERR_MEMORY, "out of memory for a line of the ledger");
    if (rc == 0)
        rc = seal(out, text);
    mem_free(text);
    json_destroy(j);
    return rc;
}

static int is_sealed(const char *bytes, size_t length)
{
    char sum[HASH_TEXT];
    if (length <= SEAL || hash_bytes(bytes, length - SEAL, sum) < 0)
        return 0;
    const char *at = bytes + length - SEAL;
    return memcmp(at, seal_begin, sizeof seal_begin - 1) == 0 &&
           memcmp(at + sizeof seal_begin - 1, sum, HASH_TEXT - 1) == 0 &&
           memcmp(bytes + length - (sizeof seal_end - 1), seal_end, sizeof seal_end - 1) == 0;
}

/* A text that is missing is "": the line does not fit then, but says what it can. */
static const char *take_text(struct arena *texts, const struct json *j, const char *key)
{
    const char *text = json_string(json_get(j, key));
    return arena_string(texts, text ? text : "");
}

static int take_fields(struct ledger_line *line, struct arena *texts, const struct json *j)
{
    int64_t number = 0;
    const char *seed = json_string(json_get(j, "seed"));
    json_integer(json_get(j, "number"), &number);
    line->number = (uint64_t)number;
    line->seed = seed ? strtoull(seed, NULL, 10) : 0;
#define X(name)                                     \
    if (!(line->name = take_text(texts, j, #name))) \
        return ERR_MEMORY;
    TEXTS(X)
#undef X
    return 0;
}

int ledger_text_read(struct ledger_line *line, struct arena *texts, const char *bytes, size_t length,
                     const char *previous, uint64_t number)
{
    struct json *j = NULL;
    TRY(json_parse(&j, bytes, length, "a line of the ledger"));
    const char *claimed = json_string(json_get(j, "previous"));
    int rc = json_is_object(j) ? take_fields(line, texts, j)
                               : fail(ERR_INPUT, "a line of the ledger is no JSON object");
    if (rc == 0)
        rc = claimed && strcmp(claimed, previous) == 0 && line->number == number && is_sealed(bytes, length);
    json_destroy(j);
    return rc;
}

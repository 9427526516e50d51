/* tokenizer_file.c - the files that CLIP's merges come in: lines of text, plain or compressed by gzip, and the
 * "merges" of a tokenizer.json. */
#include "tokenizer_private.h"

#include "error.h"
#include "file.h"
#include "json.h"
#include "memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum { FILE_LIMIT = 64 << 20, PATH_ROOM = 4096, OPENAI_MERGES = 48894 };

/* Where they are looked for in a folder, first to last. */
static const char *const names[] = {"merges.txt", "bpe_simple_vocab_16e6.txt.gz", "tokenizer.json"};

static int is_named(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    return !strcmp(slash ? slash + 1 : path, name);
}

static int is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int choose(char *out, size_t room, const char *path)
{
    if (!is_folder(path))
        return snprintf(out, room, "%s", path) < (int)room
                   ? 0
                   : fail(ERR_INPUT, "%.60s...: too long a path", path);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (snprintf(out, room, "%s/%s", path, names[i]) < (int)room && file_exists(out))
            return 0;
    return fail(ERR_INPUT, "%s holds no tokenizer: %s, %s or %s is needed", path, names[0], names[1],
                names[2]);
}

/* The whole file, decompressed if it is compressed, with a 0 behind; the caller frees *text. */
static int read_text(const char *path, char **text)
{
    if (!file_exists(path))
        return fail(ERR_INPUT, "%s cannot be found; it shall hold a tokenizer's merges", path);
    gzFile file = gzopen(path, "rb");
    if (!file)
        return fail(ERR_IO, "%s cannot be opened", path);
    size_t size = 0, room = 1 << 20;
    char *bytes = mem_alloc(room, 1);
    int got = 1, rc = bytes ? 0 : ERR_MEMORY;
    while (rc == 0 && got > 0) {
        if (size + 1 == room) {
            char *more = room < FILE_LIMIT ? mem_grow(bytes, room, 2 * room, 1) : NULL;
            rc = more ? 0
                 : room < FILE_LIMIT
                     ? ERR_MEMORY
                     : fail(ERR_INPUT, "%s: more than %d MiB are no list of merges", path, FILE_LIMIT >> 20);
            bytes = more ? more : bytes;
            room = more ? 2 * room : room;
        }
        got = rc == 0 ? gzread(file, bytes + size, (unsigned)(room - size - 1)) : 0;
        size += got > 0 ? (size_t)got : 0;
    }
    if (rc == 0 && (got < 0 || !gzeof(file)))
        rc = fail(ERR_INPUT, "%s: it is cut short or damaged", path);
    gzclose(file);
    if (rc == 0 && memchr(bytes, 0, size))
        rc = fail(ERR_INPUT, "%s: it is no text", path);
    if (rc < 0) {
        mem_free(bytes);
        return rc;
    }
    *text = bytes;
    return 0;
}

/* "left right" */
static int add_line(struct tokenizer *t, const char *line, size_t length)
{
    const char *space = memchr(line, ' ', length);
    if (!space || space == line || space + 1 == line + length)
        return fail(ERR_INPUT, "\"%.*s\" is no pair of tokens with a space between",
                    (int)(length < 60 ? length : 60), line);
    return tokenizer_add_merge(t, line, (size_t)(space - line), space + 1,
                               length - 1 - (size_t)(space - line));
}

/* The first line is a version or a title. OpenAI's file has far more merges than CLIP uses. */
static int read_lines(struct tokenizer *t, const char *path, const char *text)
{
    const uint32_t most = is_named(path, names[1]) ? OPENAI_MERGES : TOKENIZER_MERGES_MAX;
    uint32_t number = 1, added = 0;
    const char *line = strchr(text, '\n');
    for (; line && line[1] && added < most; added++) {
        line++;
        number++;
        size_t length = strcspn(line, "\r\n");
        if (length == 0 && !line[strspn(line, "\r\n")])
            break;
        int rc = add_line(t, line, length);
        if (rc < 0)
            return fail_in(rc, "%s: line %u", path, number);
        line = strchr(line, '\n');
    }
    return added ? 0 : fail(ERR_INPUT, "%s: there is no merge in it", path);
}

static int add_item(struct tokenizer *t, const struct json *item)
{
    const char *text = json_string(item);
    if (text)
        return add_line(t, text, strlen(text));
    const struct json *second = json_count(item) == 2 ? json_next(json_first(item)) : NULL;
    const char *left = second ? json_string(json_first(item)) : NULL, *right = json_string(second);
    if (!left || !right)
        return fail(ERR_INPUT, "it is neither a text nor a pair of texts");
    return tokenizer_add_merge(t, left, strlen(left), right, strlen(right));
}

/* The numbers that the file gives its tokens must be those that CLIP's rule gives. */
static int check_numbers(const struct tokenizer *t, const struct json *vocabulary, const char *path)
{
    if (vocabulary && json_count(vocabulary) != tokenizer_size(t))
        return fail(ERR_INPUT,
                    "%s: it numbers %zu tokens, but its merges make %u: it is not CLIP's tokenizer", path,
                    json_count(vocabulary), tokenizer_size(t));
    for (const struct json *j = vocabulary ? json_first(vocabulary) : NULL; j; j = json_next(j)) {
        int64_t number, ours = tokenizer_find(t, json_key(j), strlen(json_key(j)));
        if (json_integer(j, &number) < 0)
            return fail(ERR_INPUT, "%s: the token \"%.60s\" has no number", path, json_key(j));
        if (number != ours && number < (int64_t)tokenizer_size(t) - 2)
            return fail(ERR_INPUT, "%s: the token \"%.60s\" has the number %lld, in CLIP's tokenizer %lld",
                        path, json_key(j), (long long)number, (long long)ours);
    }
    return 0;
}

static int read_json(struct tokenizer *t, const char *path, const char *text)
{
    struct json *document = NULL;
    TRY(json_parse(&document, text, strlen(text), path));
    const struct json *model = json_get(document, "model"), *merges = json_get(model, "merges");
    int rc = 0;
    size_t number = 0;
    if (!merges || !json_is_array(merges) || !json_count(merges))
        rc = fail(ERR_INPUT, "%s: it has no list \"merges\" in its \"model\"", path);
    for (const struct json *j = rc ? NULL : json_first(merges); j && rc == 0; j = json_next(j), number++)
        if ((rc = add_item(t, j)) < 0)
            fail_in(rc, "%s: merge %zu", path, number);
    if (rc == 0)
        rc = check_numbers(t, json_get(model, "vocab"), path);
    json_destroy(document);
    return rc;
}

int tokenizer_read(struct tokenizer *t, const char *path)
{
    char file[PATH_ROOM], *text = NULL;
    TRY(choose(file, sizeof file, path));
    TRY(read_text(file, &text));
    int rc = text[strspn(text, " \t\r\n")] == '{' ? read_json(t, file, text) : read_lines(t, file, text);
    mem_free(text);
    return rc;
}

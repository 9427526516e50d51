/* tokenizer.c - see tokenizer.h. Two tables: names of tokens while the merges are read, and which pair
 * makes which token. */
#include "tokenizer_private.h"

#include "clean.h"
#include "error.h"
#include "memory.h"

#include <string.h>
#include <unictype.h>
#include <unistr.h>

enum { WORD_END = TOKENIZER_BYTES, FIRST_MERGE = 2 * TOKENIZER_BYTES, NAME_MAX = 1024 };

struct named { /* an entry of the table of names; no name: empty */
    const char *name;
    uint32_t length, id;
};
struct pair { /* an entry of the table of pairs; id 0: empty, as no merge has it */
    uint32_t left, right, id;
};

struct tokenizer {
    struct arena names;
    uint32_t merges;
    struct named *named;
    struct pair *pairs;
    uint32_t named_room, pairs_room; /* powers of two, less than half full */
    uint32_t byte_id[TOKENIZER_BYTES];
};

/* FNV-1a */
static uint32_t hash_name(const char *name, size_t length)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)name[i]) * 16777619u;
    return h;
}

static uint32_t hash_pair(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

static struct named *name_place(const struct tokenizer *t, const char *name, size_t length)
{
    uint32_t i = hash_name(name, length) & (t->named_room - 1);
    while (t->named[i].name && (t->named[i].length != length || memcmp(t->named[i].name, name, length) != 0))
        i = (i + 1) & (t->named_room - 1);
    return &t->named[i];
}

static struct pair *pair_place(const struct tokenizer *t, uint32_t left, uint32_t right)
{
    uint32_t i = hash_pair(left, right) & (t->pairs_room - 1);
    while (t->pairs[i].id && (t->pairs[i].left != left || t->pairs[i].right != right))
        i = (i + 1) & (t->pairs_room - 1);
    return &t->pairs[i];
}

static int grow_names(struct tokenizer *t)
{
    struct named *old = t->named;
    uint32_t room = t->named_room;
    struct named *made = mem_alloc((size_t)room * 2, sizeof *made);
    if (!made)
        return ERR_MEMORY;
    t->named = made;
    t->named_room = room * 2;
    for (uint32_t i = 0; i < room; i++)
        if (old[i].name)
            *name_place(t, old[i].name, old[i].length) = old[i];
    mem_free(old);
    return 0;
}

static int grow_pairs(struct tokenizer *t)
{
    struct pair *old = t->pairs;
    uint32_t room = t->pairs_room;
    struct pair *made = mem_alloc((size_t)room * 2, sizeof *made);
    if (!made)
        return ERR_MEMORY;
    t->pairs = made;
    t->pairs_room = room * 2;
    for (uint32_t i = 0; i < room; i++)
        if (old[i].id)
            *pair_place(t, old[i].left, old[i].right) = old[i];
    mem_free(old);
    return 0;
}

static int add_name(struct tokenizer *t, const char *name, size_t length, uint32_t id)
{
    if ((t->merges + FIRST_MERGE + 1) * 2 > t->named_room)
        TRY(grow_names(t));
    char *kept = arena_alloc(&t->names, length + 1, 1);
    if (!kept)
        return ERR_MEMORY;
    memcpy(kept, name, length);
    *name_place(t, name, length) = (struct named){kept, (uint32_t)length, id};
    return 0;
}

/* Bytes that are printable in Latin-1 stand for themselves and come first; the others are letters from
 * U+0100 on. */
static int is_printable(uint32_t byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

static int add_byte(struct tokenizer *t, uint32_t byte, uint32_t id, ucs4_t letter)
{
    static const char end[] = "</w>";
    uint8_t name[8 + sizeof end];
    int length = u8_uctomb(name, letter, 8);
    t->byte_id[byte] = id;
    TRY(add_name(t, (const char *)name, (size_t)length, id));
    memcpy(name + length, end, sizeof end - 1);
    return add_name(t, (const char *)name, (size_t)length + sizeof end - 1, WORD_END + id);
}

static int add_bytes(struct tokenizer *t)
{
    uint32_t id = 0, letter = 0x100;
    for (uint32_t b = 0; b < TOKENIZER_BYTES; b++)
        if (is_printable(b))
            TRY(add_byte(t, b, id++, b));
    for (uint32_t b = 0; b < TOKENIZER_BYTES; b++)
        if (!is_printable(b))
            TRY(add_byte(t, b, id++, letter++));
    return 0;
}

int64_t tokenizer_find(const struct tokenizer *t, const char *name, size_t length)
{
    const struct named *n = name_place(t, name, length);
    return n->name ? (int64_t)n->id : -1;
}

int tokenizer_add_merge(struct tokenizer *t, const char *left, size_t left_length, const char *right,
                        size_t right_length)
{
    char name[NAME_MAX];
    const int64_t a = tokenizer_find(t, left, left_length), b = tokenizer_find(t, right, right_length);
    const int shown = (int)(a < 0 ? left_length : right_length);
    if (a < 0 || b < 0)
        return fail(ERR_INPUT, "\"%.*s\" is no token that an earlier merge made", shown < 60 ? shown : 60,
                    a < 0 ? left : right);
    if (left_length + right_length > sizeof name)
        return fail(ERR_INPUT, "a token of %zu bytes is longer than %d", left_length + right_length,
                    NAME_MAX);
    if (t->merges == TOKENIZER_MERGES_MAX)
        return fail(ERR_INPUT, "there are more than %d merges", TOKENIZER_MERGES_MAX);
    memcpy(name, left, left_length);
    memcpy(name + left_length, right, right_length);
    if (tokenizer_find(t, name, left_length + right_length) >= 0)
        return fail(ERR_INPUT, "\"%.*s\" is made twice", (int)(left_length + right_length), name);
    *pair_place(t, (uint32_t)a, (uint32_t)b) =
        (struct pair){(uint32_t)a, (uint32_t)b, FIRST_MERGE + t->merges};
    TRY(add_name(t, name, left_length + right_length, FIRST_MERGE + t->merges));
    t->merges++;
    return (t->merges + 1) * 2 > t->pairs_room ? grow_pairs(t) : 0;
}

static int prepare(struct tokenizer *t)
{
    t->named_room = t->pairs_room = 1024;
    t->named = mem_alloc(t->named_room, sizeof *t->named);
    t->pairs = mem_alloc(t->pairs_room, sizeof *t->pairs);
    return t->named && t->pairs ? add_bytes(t) : ERR_MEMORY;
}

int tokenizer_open(struct tokenizer **out, const char *path)
{
    *out = NULL;
    struct tokenizer *t = mem_alloc(1, sizeof *t);
    if (!t)
        return ERR_MEMORY;
    int rc = prepare(t);
    if (rc == 0)
        rc = tokenizer_read(t, path);
    if (rc < 0) {
        tokenizer_close(t);
        return rc;
    }
    *out = t;
    return 0;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t)
        return;
    arena_finish(&t->names);
    mem_free(t->named);
    mem_free(t->pairs);
    mem_free(t);
}

uint32_t tokenizer_size(const struct tokenizer *t)
{
    return FIRST_MERGE + t->merges + 2;
}

/* Joins the pair that was merged first wherever it stands, again and again. Returns the tokens left. */
static size_t join(const struct tokenizer *t, uint32_t *ids, size_t count)
{
    for (;;) {
        uint32_t best = UINT32_MAX, left = 0, right = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            const struct pair *p = pair_place(t, ids[i], ids[i + 1]);
            if (p->id && p->id < best) {
                best = p->id;
                left = p->left;
                right = p->right;
            }
        }
        if (best == UINT32_MAX)
            return count;
        size_t kept = 0;
        for (size_t i = 0; i < count; kept++) {
            const int here = i + 1 < count && ids[i] == left && ids[i + 1] == right;
            ids[kept] = here ? best : ids[i];
            i += here ? 2 : 1;
        }
        count = kept;
    }
}

static int starts(const uint32_t *text, const char *with)
{
    size_t i = 0;
    while (with[i] && text[i] == (unsigned char)with[i])
        i++;
    return !with[i] ? (int)i : 0;
}

enum kind { SPACE, LETTER, NUMBER, OTHER };
static enum kind kind_of(uint32_t c)
{
    return uc_is_property_white_space(c)              ? SPACE
           : uc_is_general_category(c, UC_CATEGORY_L) ? LETTER
           : uc_is_general_category(c, UC_CATEGORY_N) ? NUMBER
                                                      : OTHER;
}

/* Code points of the word at `text`, which starts with no white space: an English ending after an
 * apostrophe, letters, one digit, or anything else up to the next of these. */
static size_t word_length(const uint32_t *text)
{
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (starts(text, endings[i]))
            return strlen(endings[i]);
    if (text[0] == '\'' && text[1] == 0x17f) /* the long s is an s where case does not count */
        return 2;
    const enum kind kind = kind_of(text[0]);
    size_t n = 1;
    while (kind != NUMBER && text[n] && kind_of(text[n]) == kind)
        n++;
    return n;
}

struct sink { /* of tokens, counted beyond its room too */
    uint32_t *ids;
    size_t room, count;
};

static void put(struct sink *s, uint32_t id)
{
    if (s->count < s->room)
        s->ids[s->count] = id;
    s->count++;
}

/* `work` has room for the word's bytes. */
static void put_word(const struct tokenizer *t, const uint32_t *word, size_t length, uint32_t *work,
                     struct sink *out)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t bytes[8];
        const int size = u8_uctomb(bytes, word[i], sizeof bytes);
        for (int b = 0; b < size; b++)
            work[count++] = t->byte_id[bytes[b]];
    }
    work[count - 1] += WORD_END;
    count = join(t, work, count);
    for (size_t i = 0; i < count; i++)
        put(out, work[i]);
}

/* The names of the two marks stand for them inside a text as well. */
static void put_words(const struct tokenizer *t, const uint32_t *text, uint32_t *work, struct sink *out)
{
    const uint32_t start = tokenizer_size(t) - 2;
    while (*text) {
        const int is_start = starts(text, "<|startoftext|>"), is_end = starts(text, "<|endoftext|>");
        if (kind_of(*text) == SPACE) {
            text++;
        } else if (is_start || is_end) {
            put(out, is_start ? start : start + 1);
            text += is_start + is_end;
        } else {
            size_t length = word_length(text);
            put_word(t, text, length, work, out);
            text += length;
        }
    }
}

int tokenizer_encode(const struct tokenizer *t, const char *text, uint32_t *ids, size_t room)
{
    const size_t size = strlen(text);
    if (size > TOKENIZER_TEXT_LIMIT)
        return fail(ERR_INPUT, "a text of %zu bytes, \"%.40s...\", is longer than %d", size, text,
                    TOKENIZER_TEXT_LIMIT);
    uint32_t *clean = NULL;
    TRY(clean_text(text, &clean));
    size_t length = 0;
    while (clean[length])
        length++;
    uint32_t *work = mem_alloc(4 * length + 1, sizeof *work);
    struct sink out = {ids, room, 0};
    int rc = work ? 0 : ERR_MEMORY;
    if (rc == 0) {
        memset(ids, 0, room * sizeof *ids);
        put(&out, tokenizer_size(t) - 2);
        put_words(t, clean, work, &out);
        put(&out, tokenizer_size(t) - 1);
    }
    mem_free(work);
    mem_free(clean);
    return rc < 0 ? rc : (int)out.count;
}

/* clean.c - see clean.h. The text is a list of code points, rewritten step by step in the order in which the
 * original's libraries do it. Every step but two (composing and lower case) leaves it no longer than it was. */
#include "clean.h"

#include "error.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

struct text {
    uint32_t *at; /* malloc's, as the library's are */
    size_t count;
};

/* What Windows-1252 has where Latin-1 has control characters, 0x80 to 0x9f; 0: nothing. */
static const uint16_t windows[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
};

static uint32_t from_windows(uint32_t c)
{
    return c >= 0x80 && c < 0xa0 && windows[c - 0x80] ? windows[c - 0x80] : c;
}

static const struct {
    uint32_t ligature;
    char letters[4];
} ligatures[] = {{0x132, "IJ"},   {0x133, "ij"},  {0x1c7, "LJ"},  {0x1c8, "Lj"},  {0x1c9, "lj"},
                 {0x1ca, "NJ"},   {0x1cb, "Nj"},  {0x1cc, "nj"},  {0x1f1, "DZ"},  {0x1f2, "Dz"},
                 {0x1f3, "dz"},   {0xfb00, "ff"}, {0xfb01, "fi"}, {0xfb02, "fl"}, {0xfb03, "ffi"},
                 {0xfb04, "ffl"}, {0xfb06, "st"}};
/* those with a letter outside ASCII */
static const uint32_t other_ligatures[][3] = {
    {0x149, 0x2bc, 'n'}, {0x1c4, 'D', 0x17d}, {0x1c5, 'D', 0x17e}, {0x1c6, 'd', 0x17e}, {0xfb05, 0x17f, 't'}};

static const struct {
    const char *name;
    uint32_t c;
} references[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", 0xa0}};

static int decode(struct text *out, const char *utf8)
{
    const size_t size = strlen(utf8);
    if (u8_check((const uint8_t *)utf8, size))
        return fail(ERR_INPUT, "the text \"%.40s\" is not UTF-8", utf8);
    out->at = calloc(size + 1, sizeof *out->at);
    if (!out->at)
        return fail(ERR_MEMORY, "out of memory for a text of %zu bytes", size);
    const uint8_t *from = (const uint8_t *)utf8;
    for (size_t i = 0; i < size; out->count++)
        i += (size_t)u8_mbtouc(&out->at[out->count], from + i, size - i);
    return 0;
}

static int hex(uint32_t c)
{
    return c >= '0' && c <= '9'                 ? (int)c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (int)(c | 32) - 'a' + 10
                                                : -1;
}

/* A reference by number at `from`, "&#65;" or "&#x41;": its length, or 0. */
static size_t number_reference(const uint32_t *from, size_t left, uint32_t *c)
{
    const uint32_t base = left > 2 && (from[2] | 32) == 'x' ? 16 : 10;
    const size_t first = base == 16 ? 3 : 2;
    size_t i = first;
    uint32_t n = 0;
    for (; i < left && hex(from[i]) >= 0 && hex(from[i]) < (int)base; i++)
        n = n > 0x110000 ? n : n * base + (uint32_t)hex(from[i]);
    if (i == first)
        return 0;
    *c = n == 0 || n > 0x10ffff || (n >= 0xd800 && n < 0xe000) ? 0xfffd : from_windows(n);
    return i < left && from[i] == ';' ? i + 1 : i;
}

static size_t reference(const uint32_t *from, size_t left, uint32_t *c)
{
    if (left > 1 && from[1] == '#')
        return number_reference(from, left, c);
    for (size_t r = 0; r < sizeof references / sizeof *references; r++) {
        size_t n = 0;
        while (references[r].name[n] && n + 1 < left && from[n + 1] == (unsigned char)references[r].name[n])
            n++;
        if (!references[r].name[n] && n + 1 < left && from[n + 1] == ';') {
            *c = references[r].c;
            return n + 2;
        }
    }
    return 0;
}

static void resolve_references(struct text *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count;) {
        uint32_t c;
        size_t length = t->at[i] == '&' ? reference(t->at + i, t->count - i, &c) : 0;
        t->at[kept++] = length ? c : t->at[i];
        i += length ? length : 1;
    }
    t->count = kept;
}

/* Colours and the like of a terminal: ESC [ digits and semicolons, letter. */
static size_t terminal_escape(const uint32_t *from, size_t left)
{
    size_t i = 2;
    if (left < 3 || from[0] != 0x1b || from[1] != '[')
        return 0;
    while (i < left && ((from[i] >= '0' && from[i] <= '9') || from[i] == ';'))
        i++;
    return i < left && (from[i] | 32) >= 'a' && (from[i] | 32) <= 'z' ? i + 1 : 0;
}

static int is_control(uint32_t c)
{
    return c < 9 || c == 11 || (c >= 14 && c < 32) || c == 127 || (c >= 0x206a && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffc);
}

static uint32_t plain(uint32_t c)
{
    c = from_windows(c);
    if (c == 0x3000)
        return ' ';
    if (c > 0xff00 && c < 0xfff0) { /* full and half widths */
        uint32_t made[8];
        size_t length = sizeof made / sizeof *made;
        if (u32_normalize(UNINORM_NFKC, &c, 1, made, &length) == made && length == 1)
            c = made[0];
    }
    if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b))
        return '\'';
    if (c >= 0x201c && c <= 0x201f)
        return '"';
    return c == '\r' || c == 0x2028 || c == 0x2029 || c == 0x85 ? '\n' : c;
}

/* The letters of a ligature in `out`, three at most; 0: it is none. */
static size_t split(uint32_t c, uint32_t *out)
{
    for (size_t i = 0; i < sizeof ligatures / sizeof *ligatures; i++)
        if (ligatures[i].ligature == c) {
            size_t n = 0;
            for (; ligatures[i].letters[n]; n++)
                out[n] = (unsigned char)ligatures[i].letters[n];
            return n;
        }
    for (size_t i = 0; i < sizeof other_ligatures / sizeof *other_ligatures; i++)
        if (other_ligatures[i][0] == c) {
            memcpy(out, other_ligatures[i] + 1, 2 * sizeof *out);
            return 2;
        }
    return 0;
}

static int make_plain(struct text *t)
{
    /* a ligature becomes up to three letters */
    uint32_t *made = calloc(3 * t->count + 1, sizeof *made);
    size_t count = 0;
    if (!made)
        return fail(ERR_MEMORY, "out of memory for a text of %zu letters", t->count);
    for (size_t i = 0; i < t->count;) {
        const size_t escape = terminal_escape(t->at + i, t->count - i),
                     letters = split(t->at[i], made + count);
        if (escape) {
            i += escape;
            continue;
        }
        for (size_t k = 0; k < letters; k++)
            made[count + k] = plain(made[count + k]);
        count += letters;
        if (!letters && !is_control(plain(t->at[i])))
            made[count++] = plain(t->at[i]);
        i++;
    }
    free(t->at);
    *t = (struct text){made, count};
    return 0;
}

/* Takes what a function of the library made of the text. */
static int take(struct text *t, uint32_t *made, size_t count)
{
    if (!made)
        return fail(ERR_MEMORY, "out of memory for a text of %zu letters", t->count);
    free(t->at);
    *t = (struct text){made, count};
    return 0;
}

static int compose(struct text *t)
{
    size_t count = 0;
    uint32_t *made = t->count ? u32_normalize(UNINORM_NFC, t->at, t->count, NULL, &count) : t->at;
    return t->count ? take(t, made, count) : 0;
}

static int lower(struct text *t)
{
    size_t count = 0;
    uint32_t *made = t->count ? u32_tolower(t->at, t->count, "", NULL, NULL, &count) : t->at;
    return t->count ? take(t, made, count) : 0;
}

/* Single spaces between words, none at the ends. */
static void squeeze(struct text *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++) {
        const int space = uc_is_property_white_space(t->at[i]);
        if (!space)
            t->at[kept++] = t->at[i];
        else if (kept && t->at[kept - 1] != ' ')
            t->at[kept++] = ' ';
    }
    t->count = kept && t->at[kept - 1] == ' ' ? kept - 1 : kept;
}

static int is_tagged(const struct text *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->at[i] == '<')
            return 1;
    return 0;
}

static int clean(struct text *t)
{
    if (!is_tagged(t))
        resolve_references(t);
    TRY(make_plain(t));
    TRY(compose(t));
    resolve_references(t);
    resolve_references(t);
    squeeze(t);
    return lower(t);
}

int clean_text(const char *utf8, uint32_t **out)
{
    struct text t = {0};
    int rc = decode(&t, utf8);
    if (rc == 0)
        rc = clean(&t);
    *out = rc == 0 ? mem_alloc(t.count + 1, sizeof **out) : NULL;
    if (*out && t.count)
        memcpy(*out, t.at, t.count * sizeof **out);
    free(t.at);
    return rc < 0 ? rc : *out ? 0 : ERR_MEMORY;
}

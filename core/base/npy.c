/* npy.c - see npy.h. The header is a Python dictionary of three keys; only that much of Python is read. */
#include "npy.h"

#include "error.h"

#include <string.h>

enum { MAGIC = 6, SHORT_PREFIX = 10, LONG_PREFIX = 12 };
static const char magic[] = "\x93NUMPY";

/* NumPy's letter, ours; little-endian or a single byte */
static const struct {
    const char *spelt;
    enum safetensors_type type;
} types[] = {
    {"<f4", SAFETENSORS_F32}, {"<f2", SAFETENSORS_F16},  {"<f8", SAFETENSORS_F64}, {"|u1", SAFETENSORS_U8},
    {"|i1", SAFETENSORS_I8},  {"|b1", SAFETENSORS_BOOL}, {"<i2", SAFETENSORS_I16}, {"<u2", SAFETENSORS_U16},
    {"<i4", SAFETENSORS_I32}, {"<u4", SAFETENSORS_U32},  {"<i8", SAFETENSORS_I64}, {"<u8", SAFETENSORS_U64},
};

struct cursor {
    const char *at, *end;
};

static void skip_spaces(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t'))
        c->at++;
}

/* Whether that is next; then it is behind. */
static int take(struct cursor *c, const char *text)
{
    size_t n = strlen(text);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, text, n) != 0)
        return 0;
    c->at += n;
    return 1;
}

/* 'text' or "text", without escapes */
static int take_string(struct cursor *c, char *out, size_t room)
{
    skip_spaces(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return 0;
    const char quote = *c->at++;
    size_t n = 0;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (n + 1 == room || (unsigned char)*c->at < ' ' || (unsigned char)*c->at > 126 || *c->at == '\\')
            return 0;
        out[n++] = *c->at;
    }
    out[n] = 0;
    return c->at < c->end && *c->at++ == quote;
}

static int take_number(struct cursor *c, int64_t *out)
{
    skip_spaces(c);
    int digits = 0;
    for (*out = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9' && digits < 18; digits++)
        *out = 10 * *out + (*c->at++ - '0');
    return digits > 0 && digits < 18;
}

static int take_shape(struct cursor *c, struct npy *out)
{
    if (!take(c, "("))
        return 0;
    for (out->rank = 0; !take(c, ")"); out->rank++) {
        if (out->rank == NPY_RANK || !take_number(c, &out->dim[out->rank]))
            return 0;
        if (!take(c, ",") && !take(c, ")"))
            return 0;
        if (c->at[-1] == ')') {
            out->rank++;
            break;
        }
    }
    return 1;
}

static int take_value(struct cursor *c, const char *key, struct npy *out)
{
    if (strcmp(key, "descr") == 0)
        return take_string(c, out->dtype, sizeof out->dtype);
    if (strcmp(key, "fortran_order") == 0)
        return (out->is_fortran = take(c, "True")) || take(c, "False");
    return strcmp(key, "shape") == 0 && take_shape(c, out);
}

/* {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } in any order, each key once */
static int take_dictionary(struct cursor *c, struct npy *out)
{
    char key[NPY_DTYPE];
    unsigned seen = 0;
    if (!take(c, "{"))
        return 0;
    while (!take(c, "}")) {
        if (!take_string(c, key, sizeof key) || !take(c, ":") || !take_value(c, key, out))
            return 0;
        const unsigned bit = key[0] == 'd' ? 1 : key[0] == 'f' ? 2 : 4;
        if (seen & bit)
            return 0;
        seen |= bit;
        if (!take(c, ",")) {
            if (!take(c, "}"))
                return 0;
            break;
        }
    }
    skip_spaces(c);
    return seen == 7 && c->at == c->end;
}

static int count_elements(struct npy *out, const char *what)
{
    out->count = 1;
    for (size_t i = 0; i < out->rank; i++) {
        if (out->dim[i] && out->count > SIZE_MAX / 8 / (size_t)out->dim[i])
            return fail(ERR_INPUT, "%s has more elements than can be counted", what);
        out->count *= (size_t)out->dim[i];
    }
    return 0;
}

int npy_read_header(struct npy *out, const void *bytes, size_t size, const char *what)
{
    const unsigned char *b = bytes;
    *out = (struct npy){.type = SAFETENSORS_UNKNOWN};
    if (size < SHORT_PREFIX || memcmp(b, magic, MAGIC) != 0)
        return fail(ERR_INPUT, "%s is no NumPy array: it does not begin with \\x93NUMPY", what);
    if (b[6] < 1 || b[6] > 3)
        return fail(ERR_INPUT, "%s is in version %d of NumPy's format; 1 to 3 are read", what, b[6]);
    const size_t prefix = b[6] == 1 ? SHORT_PREFIX : LONG_PREFIX;
    if (size < prefix)
        return fail(ERR_INPUT, "%s is cut off in its header", what);
    size_t length = (size_t)b[8] | (size_t)b[9] << 8;
    if (b[6] > 1)
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > size - prefix)
        return fail(ERR_INPUT, "%s is cut off, or its header of %zu bytes is longer than %d", what, length,
                    NPY_HEADER_LIMIT);
    struct cursor c = {(const char *)b + prefix, (const char *)b + prefix + length};
    if (!take_dictionary(&c, out))
        return fail(ERR_INPUT,
                    "%s: the header of the NumPy array is not the dictionary of a plain array's descr, "
                    "fortran_order and shape of at most %d axes",
                    what, NPY_RANK);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(out->dtype, types[i].spelt) == 0)
            out->type = types[i].type;
    out->offset = prefix + length;
    return count_elements(out, what);
}

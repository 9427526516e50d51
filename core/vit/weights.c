/* weights.c - see weights.h. */
#include "weights.h"

#include "error.h"
#include "memory.h"

#include <stdio.h>
#include <string.h>

enum { NAME_SHOWN = 120 };

/* What training programs put in front of all names */
static const char *const wrappers[] = {"",
                                       "module.",
                                       "model.",
                                       "state_dict.",
                                       "model_state_dict.",
                                       "teacher.",
                                       "state_dict.module.",
                                       "model.module.",
                                       "teacher.backbone."};
/* What they save beside the model */
static const char *const companions[] = {"optimizer", "lr_scheduler",   "scheduler",  "scaler", "loss_scaler",
                                         "model_ema", "state_dict_ema", "amp_scaler", "amp"};

static int starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* "begin*", "*end" or the name itself */
static int matches(const char *name, const char *pattern)
{
    const size_t n = strlen(name), p = strlen(pattern);
    if (p && pattern[p - 1] == '*')
        return strncmp(name, pattern, p - 1) == 0;
    if (pattern[0] == '*')
        return n >= p - 1 && strcmp(name + n - (p - 1), pattern + 1) == 0;
    return strcmp(name, pattern) == 0;
}

/* --- recognition */

static int has_signature(const struct tensor_file *f, const struct weight_format *format, const char *wrapper,
                         const char *prefix)
{
    char name[WEIGHT_NAME];
    for (size_t i = 0; i < sizeof format->signature / sizeof *format->signature && format->signature[i];
         i++) {
        snprintf(name, sizeof name, "%s%s%s", wrapper, prefix, format->signature[i]);
        if (!tensor_file_find(f, name))
            return 0;
    }
    return 1;
}

static void recognise(struct weights *s)
{
    const struct weight_format *f = weight_formats;
    for (; f->name; f++)
        for (size_t w = 0; w < sizeof wrappers / sizeof *wrappers; w++)
            for (const char *const *prefix = f->prefixes; *prefix; prefix++)
                if (has_signature(s->file, f, wrappers[w], *prefix)) {
                    s->format = f;
                    s->wrapper = wrappers[w];
                    s->prefix = *prefix;
                    return;
                }
    s->format = f - 1;
    s->wrapper = s->prefix = "";
}

static int finish_open(struct weights *s, int rc)
{
    if (rc == 0) {
        recognise(s);
        s->used = mem_alloc(tensor_file_count(s->file) + 1, 1);
        rc = s->used ? 0 : ERR_MEMORY;
    }
    if (rc < 0)
        weights_close(s);
    return rc;
}

int weights_open(struct weights *s, const char *path)
{
    *s = (struct weights){.path = path};
    return finish_open(s, tensor_file_open(&s->file, path));
}

int weights_view(struct weights *s, const void *bytes, size_t size, const char *what)
{
    *s = (struct weights){.path = what};
    return finish_open(s, tensor_file_view(&s->file, bytes, size, what));
}

void weights_close(struct weights *s)
{
    tensor_file_close(s->file);
    mem_free(s->used);
    *s = (struct weights){0};
}

/* --- names */

int weights_names(const struct weights *s, const char *pattern, size_t length, int32_t block,
                  char names[WEIGHT_PARTS][WEIGHT_NAME])
{
    const char *open = memchr(pattern, '{', length), *close = open ? strchr(open, '}') : NULL;
    const char *part = open ? open + 1 : NULL;
    const int absolute = pattern[0] == '/';
    int count = 0;
    do {
        char *to = names[count];
        size_t n = (size_t)snprintf(to, WEIGHT_NAME, "%s%s", s->wrapper, absolute ? "" : s->prefix);
        const size_t part_length = part ? strcspn(part, ",}") : 0;
        for (const char *c = pattern + absolute; c < pattern + length; c++) {
            if (*c == '#') {
                n += (size_t)snprintf(to + n, WEIGHT_NAME - n, "%d", block);
            } else if (c == open) {
                n += (size_t)snprintf(to + n, WEIGHT_NAME - n, "%.*s", (int)part_length, part);
                c = close;
            } else if (n + 1 < WEIGHT_NAME) {
                to[n++] = *c;
                to[n] = 0;
            }
        }
        count++;
        part = part && part[part_length] == ',' ? part + part_length + 1 : NULL;
    } while (part && count < WEIGHT_PARTS);
    return count;
}

static void find_row(struct weights *s, const char *theirs, int32_t block, struct weight_parts *out)
{
    char names[WEIGHT_PARTS][WEIGHT_NAME];
    for (const char *at = theirs; *at;) {
        const size_t length = strcspn(at, "|");
        const int count = weights_names(s, at, length, block, names);
        out->count = 0;
        for (int i = 0; i < count; i++) {
            out->part[i] = tensor_file_find(s->file, names[i]);
            if (!out->part[i]) {
                if (!out->missing[0] ||
                    i) /* of several alternatives the one that is half there, or the first */
                    memcpy(out->missing, names[i], WEIGHT_NAME);
                break;
            }
            out->count = i + 1 == count ? count : 0;
        }
        if (out->count)
            break;
        at += length + (at[length] == '|');
    }
    for (int i = 0; i < out->count; i++)
        s->used[out->part[i] - tensor_file_at(s->file, 0)] = 1;
}

void weights_find(struct weights *s, const char *suffix, int32_t block, struct weight_parts *out)
{
    char ours[WEIGHT_NAME];
    snprintf(ours, sizeof ours, "%s%s", block < 0 ? "" : "blocks.#.", suffix);
    const struct weight_row *row = weight_row(s->format, ours);
    *out = (struct weight_parts){.form = row ? row->form : FORM_SAME};
    if (row || s->format->same_names)
        find_row(s, row ? row->theirs : ours, block, out);
}

static int is_ignored(const struct weights *s, const char *name)
{
    if (!starts_with(name, s->wrapper)) {
        for (size_t i = 0; i < sizeof companions / sizeof *companions; i++)
            if (starts_with(name, companions[i]))
                return 1;
        return 0;
    }
    name += strlen(s->wrapper);
    for (const char *const *pattern = s->format->ignored; *pattern; pattern++)
        if (matches(name, *pattern))
            return 1;
    return 0;
}

const char *weights_extra(const struct weights *s, size_t *from)
{
    for (size_t i = *from; i < tensor_file_count(s->file); i++) {
        const char *name = tensor_file_at(s->file, i)->name;
        *from = i + 1;
        if (!s->used[i] && !is_ignored(s, name))
            return name;
    }
    return NULL;
}

/* --- layouts */

/* The axes that a form gives our shape; heads 0 leaves two axes open, as -1. */
static size_t form_axes(enum form form, struct shape s, int32_t heads, int64_t axes[4])
{
    const int64_t head = heads ? s.dim[form == FORM_OUT && s.rank > 1 ? 1 : 0] / heads : -1;
    const int64_t count = heads ? heads : -1;
    switch (form) {
    case FORM_LINEAR: axes[0] = s.dim[1], axes[1] = s.dim[0]; return 2;
    case FORM_QUERY: axes[0] = s.dim[1], axes[1] = count, axes[2] = head; return 3;
    case FORM_OUT: axes[0] = count, axes[1] = head, axes[2] = s.dim[0]; return 3;
    case FORM_VECTORS: axes[0] = count, axes[1] = head; return 2;
    case FORM_IMAGE: axes[0] = s.dim[2], axes[1] = s.dim[3], axes[2] = s.dim[1], axes[3] = s.dim[0]; return 4;
    case FORM_SAME:
    case FORM_LOOSE: break;
    }
    for (int32_t i = 0; i < s.rank; i++)
        axes[i] = s.dim[i];
    return (size_t)s.rank;
}

static int same_axes(const struct tensor_entry *e, const int64_t *axes, size_t rank, int loose)
{
    size_t k = 0;
    for (size_t i = 0; i < e->rank; i++) {
        while (loose && k < rank && axes[k] == 1)
            k++;
        if (loose && e->dim[i] == 1)
            continue;
        if (k == rank || (axes[k] >= 0 && e->dim[i] != axes[k]))
            return 0;
        k++;
    }
    while (loose && k < rank && axes[k] == 1)
        k++;
    return k == rank;
}

static void axes_text(const int64_t *axes, size_t rank, char text[SHAPE_TEXT])
{
    size_t n = 1;
    text[0] = '[';
    for (size_t i = 0; i < rank; i++) {
        n += (size_t)snprintf(text + n, SHAPE_TEXT - n, "%s", i ? " " : "");
        n += (size_t)(axes[i] < 0 ? snprintf(text + n, SHAPE_TEXT - n, "?")
                                  : snprintf(text + n, SHAPE_TEXT - n, "%lld", (long long)axes[i]));
    }
    snprintf(text + n, SHAPE_TEXT - n, "]");
}

int weights_check(const struct weights *s, const struct weight_parts *p, struct shape shape, int32_t heads,
                  const char *about)
{
    int64_t axes[4];
    char is[SAFETENSORS_TEXT], needed[SHAPE_TEXT];
    shape.dim[0] /= p->count;
    const size_t rank = form_axes(p->form, shape, heads, axes);
    for (int i = 0; i < p->count; i++) {
        const struct tensor_entry *e = p->part[i];
        if (!same_axes(e, axes, rank, p->form == FORM_LOOSE)) {
            axes_text(axes, rank, needed);
            return fail(ERR_INPUT, "%s: tensor %.*s is %s; %s is needed%s", s->path, NAME_SHOWN, e->name,
                        tensor_entry_text(e, is), needed, about);
        }
        if (e->type != SAFETENSORS_F32 && e->type != SAFETENSORS_F16 && e->type != SAFETENSORS_BF16 &&
            e->type != SAFETENSORS_F64)
            return fail(ERR_INPUT, "%s: tensor %.*s is of type %.32s; F32, F16, BF16 or F64 is needed",
                        s->path, NAME_SHOWN, e->name, e->dtype);
    }
    return 0;
}

/* [rows, columns] to [columns, rows] */
static void transpose(const float *in, int64_t rows, int64_t columns, float *out)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            out[c * rows + r] = in[r * columns + c];
}

/* One part from its layout to ours, whose shape is given. */
static void lay_out(enum form form, struct shape shape, const float *in, float *out)
{
    const int64_t count = shape_count(shape);
    switch (form) {
    case FORM_SAME:
    case FORM_LOOSE:
    case FORM_VECTORS: memcpy(out, in, (size_t)count * sizeof *out); break;
    case FORM_LINEAR:
    case FORM_QUERY: /* [D, H, d] is [I, O] with the outputs in two axes, [H, d, D] with the inputs */
    case FORM_OUT: transpose(in, shape.dim[1], shape.dim[0], out); break;
    case FORM_IMAGE: /* [P, P, 3, D] to [D, 3, P, P] is [P P, 3, D] reversed */
        for (int64_t pixel = 0, pixels = shape.dim[2] * shape.dim[3]; pixel < pixels; pixel++)
            for (int64_t channel = 0; channel < shape.dim[1]; channel++)
                for (int64_t o = 0; o < shape.dim[0]; o++)
                    out[(o * shape.dim[1] + channel) * pixels + pixel] =
                        in[(pixel * shape.dim[1] + channel) * shape.dim[0] + o];
        break;
    }
}

int weights_read(struct weights *s, const struct weight_parts *p, struct shape shape, float *out)
{
    shape.dim[0] /= p->count;
    const int64_t count = shape_count(shape);
    const int as_it_is = p->form == FORM_SAME || p->form == FORM_LOOSE || p->form == FORM_VECTORS;
    float *room = as_it_is ? NULL : mem_alloc((size_t)count, sizeof *room);
    if (!as_it_is && !room)
        return ERR_MEMORY;
    int rc = 0;
    for (int i = 0; i < p->count && rc == 0; i++) {
        float *to = out + i * count;
        rc = tensor_file_read(s->file, p->part[i], as_it_is ? to : room);
        if (rc == 0 && !as_it_is)
            lay_out(p->form, shape, room, to);
    }
    mem_free(room);
    return rc;
}

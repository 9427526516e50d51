/* dump.c - see dump.h. */
#include "dump.h"

#include "error.h"
#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put(struct dump *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct dump *d, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t n = strlen(line);
    if (!d->failed && d->size + n + 1 > d->room) {
        size_t room = 2 * d->room + 65536;
        char *grown = mem_grow(d->text, d->room, room, 1);
        d->failed |= !grown;
        d->text = grown ? grown : d->text;
        d->room = grown ? room : d->room;
    }
    if (d->failed)
        return;
    memcpy(d->text + d->size, line, n + 1);
    d->size += n;
}

static void put_tensor(struct dump *d, const struct tensor *t)
{
    char shape[SHAPE_TEXT];
    put(d, "%s %s kind %d init %u(%.9g %.9g) wise %u lr %.9g decay %d\n", t->name,
        shape_text(t->shape, shape), (int)t->kind, t->init, (double)t->init_arg, (double)t->init_mean,
        t->wise, (double)t->lr_mul, !t->no_decay);
}

/* Attributes are at most a few words, zero beyond those that the op has. */
static void put_attributes(struct dump *d, const struct node *n)
{
    unsigned char bytes[sizeof n->attr];
    char text[2 * sizeof bytes + 1] = "";
    size_t used = sizeof bytes;
    memcpy(bytes, &n->attr, sizeof bytes);
    if (n->op == OP_HOOKED) /* a number of the tape's own */
        return;
    while (used && !bytes[used - 1])
        used--;
    for (size_t i = 0; i < used; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    put(d, " {%s}", text);
}

static void put_value(struct dump *d, const struct tape *t, value v)
{
    const struct node *n = tape_node(t, v);
    char shape[SHAPE_TEXT];
    put(d, "value %u: %s %s", v, op_names[n->op], shape_text(n->shape, shape));
    for (int i = 0; i < op_arity[n->op]; i++)
        put(d, " %u", n->in[i]);
    put_attributes(d, n);
    put(d, " %s\n", n->name ? n->name : "");
}

int dump_lab(struct dump *d, const struct lab *l)
{
    for (size_t i = 0; i < l->tensor_count; i++)
        put_tensor(d, &l->tensors[i]);
    for (value v = 1; v < tape_size(l->tape); v++)
        put_value(d, l->tape, v);
    return d->failed ? ERR_MEMORY : 0;
}

void dump_free(struct dump *d)
{
    mem_free(d->text);
    *d = (struct dump){0};
}

static void take_line(const char *at, const char *end, char out[DUMP_LINE])
{
    size_t n = 0;
    while (at + n < end && at[n] != '\n' && n < DUMP_LINE - 1)
        n++;
    memcpy(out, at, n);
    out[n] = 0;
    if (!n)
        snprintf(out, DUMP_LINE, "the end");
}

int dump_differ(const struct dump *a, const struct dump *b, char of_a[DUMP_LINE], char of_b[DUMP_LINE])
{
    size_t i = 0, line = 0, least = a->size < b->size ? a->size : b->size;
    if (a->size == b->size && !memcmp(a->text, b->text, a->size))
        return 0;
    for (; i < least && a->text[i] == b->text[i]; i++)
        if (a->text[i] == '\n')
            line = i + 1;
    take_line(a->text + line, a->text + a->size, of_a);
    take_line(b->text + line, b->text + b->size, of_b);
    return 1;
}

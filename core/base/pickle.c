/* pickle.c - a stack machine over the opcodes of Python's pickletools, protocols 2 to 4, that only builds trees.
 * Each opcode is a row of a table: its byte, and what it does to the stack. */
#include "pickle.h"

#include "error.h"
#include "pickle_machine.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_LIMIT = 1 << 16, NAME_SHOWN = 120 };

/* Opcodes: `arg` is the row's. */

static int op_number(struct pickle_machine *m, int bytes)
{
    struct pickle_node *n = pickle_make(m, PICKLE_INT);
    uint64_t bits;
    TRY(pickle_number(m, (size_t)bytes, &bits));
    if (n)
        n->number = bytes == 4 ? (int32_t)(uint32_t)bits : (int64_t)bits;
    return pickle_push(m, n);
}

static int op_long(struct pickle_machine *m, int unused)
{
    (void)unused;
    uint64_t length, bits = 0;
    TRY(pickle_number(m, 1, &length));
    if (length > 8)
        return pickle_refuse(m, "a whole number has more than 64 bits");
    TRY(pickle_number(m, (size_t)length, &bits));
    if (length && length < 8 && bits >> (8 * length - 1)) /* the top bit is the sign */
        bits |= UINT64_MAX << (8 * length);
    struct pickle_node *n = pickle_make(m, PICKLE_INT);
    if (n)
        n->number = (int64_t)bits;
    return pickle_push(m, n);
}

static int op_float(struct pickle_machine *m, int unused)
{
    (void)unused;
    const unsigned char *b;
    uint64_t bits = 0;
    TRY(pickle_bytes(m, 8, &b));
    for (int i = 0; i < 8; i++) /* big-endian */
        bits = bits << 8 | b[i];
    struct pickle_node *n = pickle_make(m, PICKLE_FLOAT);
    if (n)
        memcpy(&n->real, &bits, sizeof n->real);
    return pickle_push(m, n);
}

static int op_bool(struct pickle_machine *m, int number)
{
    struct pickle_node *n = pickle_make(m, PICKLE_BOOL);
    if (n)
        n->number = number;
    return pickle_push(m, n);
}

static int op_empty(struct pickle_machine *m, int kind)
{
    return pickle_push(m, pickle_make(m, (enum pickle_kind)kind));
}

static int keep_text(struct pickle_machine *m, const unsigned char *bytes, size_t length, const char **out)
{
    char *text = arena_alloc(m->arena, length + 1, 1);
    if (!text)
        return ERR_MEMORY;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] < ' ' || bytes[i] == 127)
            return pickle_refuse(m, "a string holds a control character");
    if (length)
        memcpy(text, bytes, length);
    *out = text;
    return 0;
}

static int op_string(struct pickle_machine *m, int length_bytes)
{
    uint64_t length;
    const unsigned char *bytes;
    TRY(pickle_number(m, (size_t)length_bytes, &length));
    if (length > TEXT_LIMIT)
        return pickle_refuse(m, "a string is longer than 65536 bytes");
    TRY(pickle_bytes(m, (size_t)length, &bytes));
    struct pickle_node *n = pickle_make(m, PICKLE_STRING);
    if (n)
        TRY(keep_text(m, bytes, (size_t)length, &n->text));
    return pickle_push(m, n);
}

static int is_named_by(const struct pickle_global *row, const char *module, const char *name)
{
    const size_t length = strlen(row->module);
    if (row->name)
        return strcmp(row->module, module) == 0 && strcmp(row->name, name) == 0;
    return strncmp(row->module, module, length) == 0 && (module[length] == '.' || !module[length]);
}

static int push_global(struct pickle_machine *m, const char *module, const char *name)
{
    for (size_t i = 0; m->globals[i].module; i++)
        if (is_named_by(&m->globals[i], module, name)) {
            struct pickle_node *n = pickle_make(m, PICKLE_GLOBAL);
            if (n)
                n->number = (int64_t)i;
            return pickle_push(m, n);
        }
    return fail(
        ERR_INPUT,
        "%s holds the Python object %.*s.%.*s, which is not plain tensors and is not made; save the state "
        "dictionary alone: torch.save(model.state_dict(), FILE)",
        m->what, NAME_SHOWN, module, NAME_SHOWN, name);
}

/* Up to the line's end. */
static int read_line(struct pickle_machine *m, const char **out)
{
    const unsigned char *from = m->at, *newline = memchr(from, '\n', (size_t)(m->end - from));
    if (!newline || newline - from > TEXT_LIMIT)
        return pickle_refuse(m, "a name does not end");
    m->at = newline + 1;
    return keep_text(m, from, (size_t)(newline - from), out);
}

static int op_global(struct pickle_machine *m, int unused)
{
    const char *module = NULL, *name = NULL;
    (void)unused;
    TRY(read_line(m, &module));
    TRY(read_line(m, &name));
    return push_global(m, module, name);
}

static int op_stack_global(struct pickle_machine *m, int unused)
{
    struct pickle_node *module, *name;
    (void)unused;
    TRY(pickle_pop(m, &name));
    TRY(pickle_pop(m, &module));
    if (module->kind != PICKLE_STRING || name->kind != PICKLE_STRING)
        return pickle_refuse(m, "a global's name is no string");
    return push_global(m, module->text, name->text);
}

static int op_mark(struct pickle_machine *m, int unused)
{
    (void)unused;
    if (m->mark_count == PICKLE_MARKS)
        return pickle_refuse(m, "it is nested deeper than 1024 levels");
    m->marks[m->mark_count++] = m->height;
    return 0;
}

static int op_marked(struct pickle_machine *m, int kind)
{
    size_t first;
    TRY(pickle_take_mark(m, &first));
    if (kind == PICKLE_DICT && (m->height - first) % 2)
        return pickle_refuse(m, "a key has no value");
    struct pickle_node *n = pickle_make(m, (enum pickle_kind)kind);
    if (n)
        TRY(pickle_take(m, n, first));
    return pickle_push(m, n);
}

static int op_tuple(struct pickle_machine *m, int count)
{
    if (pickle_above_mark(m) < (size_t)count)
        return pickle_refuse(m, "a value is missing from its stack");
    struct pickle_node *n = pickle_make(m, PICKLE_TUPLE);
    if (n)
        TRY(pickle_take(m, n, m->height - (size_t)count));
    return pickle_push(m, n);
}

/* Items behind the mark (marked) or the last one or two go into the container below them. */
static int add_items(struct pickle_machine *m, enum pickle_kind kind, size_t first)
{
    const size_t least = m->mark_count ? m->marks[m->mark_count - 1] : 0;
    if (first <= least || m->stack[first - 1]->kind != kind)
        return pickle_refuse(m, "there is no container for its items");
    if (kind == PICKLE_DICT && (m->height - first) % 2)
        return pickle_refuse(m, "a key has no value");
    return pickle_take(m, m->stack[first - 1], first);
}

static int op_add(struct pickle_machine *m, int kind)
{
    const size_t count = kind == PICKLE_DICT ? 2 : 1;
    if (pickle_above_mark(m) < count)
        return pickle_refuse(m, "a value is missing from its stack");
    return add_items(m, (enum pickle_kind)kind, m->height - count);
}

static int op_add_marked(struct pickle_machine *m, int kind)
{
    size_t first;
    TRY(pickle_take_mark(m, &first));
    return add_items(m, (enum pickle_kind)kind, first);
}

static int op_put(struct pickle_machine *m, int bytes)
{
    uint64_t index;
    TRY(pickle_number(m, (size_t)bytes, &index));
    return pickle_memoize(m, index);
}

static int op_memoize(struct pickle_machine *m, int unused)
{
    (void)unused;
    return pickle_memoize(m, m->memo_next++);
}

static int op_get(struct pickle_machine *m, int bytes)
{
    uint64_t index;
    TRY(pickle_number(m, (size_t)bytes, &index));
    if (index >= m->memo_room || !m->memo[index])
        return pickle_refuse(m, "it asks for a value that was not kept");
    return pickle_push(m, m->memo[index]);
}

static int op_reduce(struct pickle_machine *m, int unused)
{
    struct pickle_node *callee, *arguments;
    (void)unused;
    TRY(pickle_pop(m, &arguments));
    TRY(pickle_pop(m, &callee));
    if (callee->kind != PICKLE_GLOBAL || arguments->kind != PICKLE_TUPLE)
        return pickle_refuse(m, "it calls what is no function");
    if (m->globals[callee->number].role == PICKLE_MAKES_DICT) {
        if (arguments->count)
            return pickle_refuse(m, "a dictionary is made from arguments");
        return pickle_push(m, pickle_make(m, PICKLE_DICT));
    }
    struct pickle_node *n = pickle_make(m, PICKLE_CALL);
    if (n) {
        TRY(pickle_append(m, n, callee));
        TRY(pickle_append(m, n, arguments));
    }
    return pickle_push(m, n);
}

static int op_new_object(struct pickle_machine *m, int unused)
{
    struct pickle_node *class, *arguments;
    (void)unused;
    TRY(pickle_pop(m, &arguments));
    TRY(pickle_pop(m, &class));
    if (class->kind != PICKLE_GLOBAL || m->globals[class->number].role != PICKLE_MAKES_OBJECT ||
        arguments->kind != PICKLE_TUPLE || arguments->count)
        return pickle_refuse(m, "it makes an object of what is no class, or from arguments");
    struct pickle_node *n = pickle_make(m, PICKLE_DICT);
    if (n)
        n->number = 1;
    return pickle_push(m, n);
}

/* An object's attributes are its items; an OrderedDict has its _metadata there, which says nothing about tensors. */
static int op_build(struct pickle_machine *m, int unused)
{
    struct pickle_node *state;
    (void)unused;
    TRY(pickle_pop(m, &state));
    struct pickle_node *to = pickle_above_mark(m) ? m->stack[m->height - 1] : NULL;
    if (!to || to->kind != PICKLE_DICT || state->kind != PICKLE_DICT || to == state)
        return pickle_refuse(m, "it sets attributes of what is no dictionary");
    return to->number ? pickle_copy_items(m, to, state) : 0;
}

static int op_persistent(struct pickle_machine *m, int unused)
{
    struct pickle_node *id, *n;
    (void)unused;
    TRY(pickle_pop(m, &id));
    n = pickle_make(m, PICKLE_PERSISTENT);
    if (n)
        TRY(pickle_append(m, n, id));
    return pickle_push(m, n);
}

static int op_protocol(struct pickle_machine *m, int unused)
{
    uint64_t version;
    (void)unused;
    TRY(pickle_number(m, 1, &version));
    return version >= 2 && version <= 4 ? 0 : pickle_refuse(m, "its protocol is not 2 to 4");
}

static int op_frame(struct pickle_machine *m, int unused)
{
    uint64_t length;
    (void)unused;
    return pickle_number(m, 8, &length); /* frames only help readers of streams */
}

static const struct {
    unsigned char code;
    int (*run)(struct pickle_machine *m, int arg);
    int arg;
} opcodes[] = {
    {0x80, op_protocol, 0},
    {0x95, op_frame, 0},
    {'K', op_number, 1},
    {'M', op_number, 2},
    {'J', op_number, 4},
    {0x8a, op_long, 0},
    {'G', op_float, 0},
    {'N', op_empty, PICKLE_NONE},
    {0x88, op_bool, 1},
    {0x89, op_bool, 0},
    {'X', op_string, 4},
    {0x8c, op_string, 1},
    {0x8d, op_string, 8},
    {'c', op_global, 0},
    {0x93, op_stack_global, 0},
    {'(', op_mark, 0},
    {'t', op_marked, PICKLE_TUPLE},
    {'l', op_marked, PICKLE_LIST},
    {'d', op_marked, PICKLE_DICT},
    {')', op_empty, PICKLE_TUPLE},
    {']', op_empty, PICKLE_LIST},
    {'}', op_empty, PICKLE_DICT},
    {0x85, op_tuple, 1},
    {0x86, op_tuple, 2},
    {0x87, op_tuple, 3},
    {'a', op_add, PICKLE_LIST},
    {'e', op_add_marked, PICKLE_LIST},
    {'s', op_add, PICKLE_DICT},
    {'u', op_add_marked, PICKLE_DICT},
    {'q', op_put, 1},
    {'r', op_put, 4},
    {0x94, op_memoize, 0},
    {'h', op_get, 1},
    {'j', op_get, 4},
    {'R', op_reduce, 0},
    {0x81, op_new_object, 0},
    {'b', op_build, 0},
    {'Q', op_persistent, 0},
};
enum { OPCODES = sizeof opcodes / sizeof *opcodes, STOP = '.' };

static int run(struct pickle_machine *m, struct pickle_node **out)
{
    for (;;) {
        const unsigned char *code;
        TRY(pickle_bytes(m, 1, &code));
        if (*code == STOP)
            break;
        size_t i = 0;
        while (i < OPCODES && opcodes[i].code != *code)
            i++;
        if (i == OPCODES)
            return fail(ERR_INPUT,
                        "%s: the pickle has the opcode 0x%02x at byte %zu, which plain tensors do not need",
                        m->what, *code, (size_t)(code - m->begin));
        TRY(opcodes[i].run(m, opcodes[i].arg));
    }
    if (m->height != 1 || m->mark_count || m->at != m->end)
        return pickle_refuse(m, "it does not end in one value");
    *out = m->stack[0];
    return 0;
}

int pickle_read(struct pickle_node **out, struct arena *arena, const void *bytes, size_t size,
                const struct pickle_global *globals, const char *what)
{
    struct pickle_machine *m = mem_alloc(1, sizeof *m);
    if (!m)
        return ERR_MEMORY;
    m->what = what;
    m->arena = arena;
    m->at = m->begin = bytes;
    m->end = m->begin + size;
    m->globals = globals;
    int rc = run(m, out);
    mem_free(m->stack);
    mem_free(m->memo);
    mem_free(m);
    return rc;
}

/* pickle_machine.c - see pickle_machine.h. */
#include "pickle_machine.h"

#include "error.h"

#include <string.h>

enum {
    NODE_LIMIT = 1 << 21,
    STACK_LIMIT = 1 << 20,
    MEMO_LIMIT = 1 << 20,
};

int pickle_refuse(const struct pickle_machine *m, const char *why)
{
    return fail(ERR_INPUT, "%s: the pickle is damaged at byte %zu: %s", m->what, (size_t)(m->at - m->begin),
                why);
}

static int refuse_number_of_values(const struct pickle_machine *m)
{
    return fail(ERR_INPUT, "%s: the pickle has more than %d values", m->what, NODE_LIMIT);
}

struct pickle_node *pickle_make(struct pickle_machine *m, enum pickle_kind kind)
{
    if (m->nodes == NODE_LIMIT) {
        refuse_number_of_values(m);
        return NULL;
    }
    struct pickle_node *n = arena_alloc(m->arena, 1, sizeof *n);
    if (n) {
        m->nodes++;
        n->kind = kind;
    }
    return n;
}

int pickle_push(struct pickle_machine *m, struct pickle_node *n)
{
    if (!n)
        return ERR_INPUT; /* make said why */
    if (m->height == m->room) {
        size_t room = m->room ? 2 * m->room : 256;
        if (room > STACK_LIMIT)
            return pickle_refuse(m, "its stack grows beyond 2^20 values");
        struct pickle_node **grown = mem_grow(m->stack, m->room, room, sizeof(struct pickle_node *));
        if (!grown)
            return ERR_MEMORY;
        m->stack = grown;
        m->room = room;
    }
    m->stack[m->height++] = n;
    return 0;
}

size_t pickle_above_mark(const struct pickle_machine *m)
{
    return m->height - (m->mark_count ? m->marks[m->mark_count - 1] : 0);
}

int pickle_pop(struct pickle_machine *m, struct pickle_node **out)
{
    if (pickle_above_mark(m) == 0)
        return pickle_refuse(m, "a value is missing from its stack");
    *out = m->stack[--m->height];
    return 0;
}

int pickle_bytes(struct pickle_machine *m, size_t count, const unsigned char **out)
{
    if ((size_t)(m->end - m->at) < count)
        return pickle_refuse(m, "it ends early");
    *out = m->at;
    m->at += count;
    return 0;
}

int pickle_number(struct pickle_machine *m, size_t count, uint64_t *out)
{
    const unsigned char *b;
    TRY(pickle_bytes(m, count, &b));
    *out = 0;
    for (size_t i = 0; i < count; i++)
        *out |= (uint64_t)b[i] << (8 * i);
    return 0;
}

int pickle_append(struct pickle_machine *m, struct pickle_node *to, struct pickle_node *item)
{
    if (to->count == to->room) {
        size_t room = to->room ? 2 * to->room : 4;
        struct pickle_node **items = arena_alloc(m->arena, room, sizeof(struct pickle_node *));
        if (!items)
            return ERR_MEMORY;
        if (to->count)
            memcpy(items, to->items, to->count * sizeof(struct pickle_node *));
        to->items = items;
        to->room = room;
    }
    to->items[to->count++] = item;
    return 0;
}

int pickle_take(struct pickle_machine *m, struct pickle_node *to, size_t first)
{
    for (size_t i = first; i < m->height; i++)
        TRY(pickle_append(m, to, m->stack[i]));
    m->height = first;
    return 0;
}

int pickle_copy_items(struct pickle_machine *m, struct pickle_node *to, const struct pickle_node *from)
{
    if (from->count > NODE_LIMIT - m->nodes)
        return refuse_number_of_values(m);
    m->nodes += from->count;
    for (size_t i = 0; i < from->count; i++)
        TRY(pickle_append(m, to, from->items[i]));
    return 0;
}

int pickle_take_mark(struct pickle_machine *m, size_t *first)
{
    if (!m->mark_count)
        return pickle_refuse(m, "a mark is missing from its stack");
    *first = m->marks[--m->mark_count];
    return 0;
}

int pickle_memoize(struct pickle_machine *m, uint64_t index)
{
    if (pickle_above_mark(m) == 0 || index >= MEMO_LIMIT)
        return pickle_refuse(m, "it keeps a value that is not there, or more than 2^20 values");
    if (index >= m->memo_room) {
        size_t room = m->memo_room ? m->memo_room : 256;
        while (room <= index)
            room *= 2;
        struct pickle_node **grown = mem_grow(m->memo, m->memo_room, room, sizeof(struct pickle_node *));
        if (!grown)
            return ERR_MEMORY;
        m->memo = grown;
        m->memo_room = room;
    }
    m->memo[index] = m->stack[m->height - 1];
    return 0;
}

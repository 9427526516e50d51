/* method.c - stacks of plugin instances: from text to configured instances. See host.h. */
#include "method_private.h"

#include "error.h"
#include "kernel_extension.h"
#include "options.h"
#include "plugin_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_LIMIT = 4096 };

int site_in_block(int32_t site)
{
    return site >= VITRO_AT_BLOCK_IN && site <= VITRO_AT_BLOCK_OUT;
}

void instance_blame(const struct instance *in, const char *format, ...)
{
    if (in->why[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(in->why, WHY_TEXT, format, args);
    va_end(args);
}

int instance_check(const struct instance *in, int rc, const char *callback)
{
    if (rc != 0)
        instance_blame(in, "%s returned %d without saying why", callback, rc);
    if (!in->why[0])
        return 0;
    rc = fail(ERR_PLUGIN, "%s: %s", in->name, in->why);
    in->why[0] = 0;
    return rc;
}

/* --- what a plugin sees as its host */

static const struct instance *behind(const vitro_host *host)
{
    return (const struct instance *)(const void *)host;
}

static void host_log(const vitro_host *host, int level, const char *text)
{
    plugins_say(behind(host)->method->plugins, level, behind(host)->name, text);
}

static int host_fail(const vitro_host *host, const char *why)
{
    instance_blame(behind(host), "%s", why && *why ? why : "it failed without saying why");
    return -1;
}

static const void *host_extension(const vitro_host *host, const char *id)
{
    (void)host;
    return id && !strcmp(id, VITRO_KERNEL) ? &kernel_extension : NULL;
}

static const vitro_host host_table = {
    .abi = VITRO_ABI_MAJOR << 16 | VITRO_ABI_MINOR,
    .size = sizeof(vitro_host),
    .log = host_log,
    .fail = host_fail,
    .extension = host_extension,
};

/* --- parsing */

/* One piece "name" or "name[options]" of a stack, cut into its two parts in place. */
static int cut_piece(char *piece, char **options)
{
    char *open = strchr(piece, '[');
    size_t n = strlen(piece);
    *options = piece + n;
    if (open) {
        if (piece[n - 1] != ']' || strpbrk(open + 1, "[") || strchr(open, ']') != piece + n - 1)
            return fail(ERR_INPUT, "method \"%.80s\": the options need the form name[option=value,...]",
                        piece);
        piece[n - 1] = 0;
        *open = 0;
        *options = open + 1;
    } else if (strchr(piece, ']')) {
        return fail(ERR_INPUT, "method \"%.80s\": a bracket is closed that was not opened", piece);
    }
    if (!*piece)
        return fail(ERR_INPUT, "a method's name is missing; write name, name[option=value] or name+name");
    return 0;
}

/* Where the piece ends: the next '+' outside brackets, or the end. */
static char *piece_end(char *text)
{
    int depth = 0;
    for (; *text; text++) {
        depth += (*text == '[') - (*text == ']');
        if (*text == '+' && depth <= 0)
            break;
    }
    return text;
}

/* "lora", then "lora-2" for the second of its kind: names go into parameter names and files. */
static void name_instance(struct instance *in)
{
    int same = 1;
    const char *id = in->plugin->info.id;
    for (const struct instance *k = in->method->instances; k < in; k++)
        same += !strcmp(k->plugin->info.id, id);
    if (same > 1)
        snprintf(in->name, sizeof in->name, "%s-%d", id, same);
    else
        snprintf(in->name, sizeof in->name, "%s", id);
}

static int format_instance(struct instance *in, const char *name)
{
    size_t n = options_format(in->plugin, in->self, NULL, 0), head = strlen(name);
    char *text = arena_alloc(&in->method->arena, head + n + 3, 1);
    if (!text)
        return ERR_MEMORY;
    memcpy(text, name, head);
    if (n) {
        text[head] = '[';
        options_format(in->plugin, in->self, text + head + 1, n + 1);
        text[head + 1 + n] = ']';
    }
    in->text = text;
    return 0;
}

/* Apart from all else, so that overruns show. */
static void *take_self(const struct method *m, size_t size)
{
    return m->memory ? m->memory->self(m->memory->context, size) : mem_alloc(size ? size : 1, 1);
}

void *method_lend(const struct method *m, const void *bytes, size_t size)
{
    const void *lent = m->memory ? m->memory->lend(m->memory->context, bytes, size) : bytes;
    return (void *)(uintptr_t)lent; /* callbacks take some of them as pointers to what they may not write */
}

static int start_instance(struct method *m, char *piece)
{
    char *options;
    TRY(cut_piece(piece, &options));
    if (m->count == STACK_LIMIT)
        return fail(ERR_INPUT, "a stack holds at most %d methods", STACK_LIMIT);
    struct instance *in = &m->instances[m->count];
    TRY(plugins_load(m->plugins, piece, &in->plugin));
    const vitro_plugin_info *info = &in->plugin->info;
    in->method = m;
    in->host = host_table;
    in->owner = (int32_t)m->count++;
    name_instance(in);
    in->self = take_self(m, info->self_size);
    in->why = arena_alloc(&m->arena, WHY_TEXT, 1);
    if (!in->self || !in->why)
        return ERR_MEMORY;
    TRY(options_parse(in->plugin, options, in->self));
    TRY(format_instance(in, piece));
    if (info->init)
        TRY(instance_check(in, info->init(in->self, &in->host), "init"));
    in->started = 1;
    return 0;
}

static int join_texts(struct method *m)
{
    size_t size = 1;
    for (size_t i = 0; i < m->count; i++)
        size += strlen(m->instances[i].text) + 1;
    char *text = arena_alloc(&m->arena, size, 1);
    if (!text)
        return ERR_MEMORY;
    m->text = text;
    for (size_t i = 0; i < m->count; i++) {
        size_t n = strlen(m->instances[i].text);
        memcpy(text, m->instances[i].text, n);
        text[n] = i + 1 < m->count ? '+' : 0;
        text += n + 1;
    }
    return 0;
}

static int start_stack(struct method *m, const char *text)
{
    if (strlen(text) > TEXT_LIMIT)
        return fail(ERR_INPUT, "a method's text is longer than %d letters", TEXT_LIMIT);
    char *piece = arena_string(&m->arena, text);
    m->instances = arena_alloc(&m->arena, STACK_LIMIT, sizeof *m->instances);
    if (!piece || !m->instances)
        return ERR_MEMORY;
    for (int more = 1; more;) {
        char *end = piece_end(piece);
        more = *end != 0;
        *end = 0;
        TRY(start_instance(m, piece));
        piece = end + 1;
    }
    return join_texts(m);
}

int method_create(struct method **out, struct plugins *plugins, const char *text)
{
    return method_create_in(out, plugins, text, NULL);
}

int method_create_in(struct method **out, struct plugins *plugins, const char *text,
                     const struct method_memory *memory)
{
    struct method *m = mem_alloc(1, sizeof *m);
    if (!m)
        return ERR_MEMORY;
    m->plugins = plugins;
    m->memory = memory;
    int rc = start_stack(m, text);
    if (rc < 0) {
        method_destroy(m);
        return rc;
    }
    *out = m;
    return 0;
}

void method_destroy(struct method *m)
{
    if (!m)
        return;
    for (size_t i = m->count; i-- > 0;) {
        struct instance *in = &m->instances[i];
        training_clear(in->training);
        if (in->started && in->plugin->info.finish)
            in->plugin->info.finish(in->self);
        if (!m->memory)
            mem_free(in->self);
    }
    arena_finish(&m->arena);
    mem_free(m);
}

const char *method_text(const struct method *m)
{
    return m->text;
}

/* machine.c - see machine.h. */
#include "machine.h"

#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say_line(void *context, const char *text)
{
    (void)context;
    say("%s", text);
}

int machine_open(struct machine *m, const struct settings *s)
{
    const struct device_spec spec = {
        .index = s->device, .validate = s->validate, .memory = (uint64_t)s->device_memory << 20};
    TRY(device_open(&m->device, &spec));
    if (s->verbose)
        say("device: %s, driver %s", device_info(m->device)->name, device_info(m->device)->driver);
    TRY(engine_create(&m->engine, m->device, ENGINE_AUTO));
    engine_set_log(m->engine, say_line, NULL);
    return 0;
}

int machine_check(const struct machine *m)
{
    return m->device ? device_check(m->device) : 0;
}

void machine_close(struct machine *m)
{
    plugins_destroy(m->plugins);
    engine_destroy(m->engine);
    device_close(m->device);
    *m = (struct machine){0};
}

/* VITRO_EXE names the program where it was started through a dynamic linker of its own (with-vk), as
 * /proc/self/exe is that linker then. */
int program_folder(char out[PATH_SIZE])
{
    const char *told = getenv("VITRO_EXE");
    ssize_t length = 0;
    if (told && *told && strlen(told) < PATH_SIZE)
        snprintf(out, PATH_SIZE, "%s", told);
    else if ((length = readlink("/proc/self/exe", out, PATH_SIZE - 1)) > 0)
        out[length] = 0;
    else
        return fail(ERR_IO, "/proc/self/exe cannot be read, so the program does not know where it lies; set "
                            "VITRO_EXE to its path");
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = 0;
    return 0;
}

static void log_line(void *context, int level, const char *id, const char *text)
{
    static const char *const levels[] = {"error", "warning", "note", "detail"};
    const int *verbose = context;
    if (level >= 0 && level < 4 && (level < 2 || *verbose))
        say("plugin %s: %s: %s", id, levels[level], text);
}

/* What --plugin-path was given, joined by colons; NULL where it was not. */
static int join_path(const struct argument_list *given, char **out)
{
    size_t size = 1;
    for (int i = 0; i < given->count; i++)
        size += strlen(given->items[i]) + 1;
    *out = NULL;
    if (!given->count)
        return 0;
    char *text = mem_alloc(size, 1);
    if (!text)
        return ERR_MEMORY;
    for (int i = 0; i < given->count; i++)
        strcat(strcat(text, i ? ":" : ""), given->items[i]);
    *out = text;
    return 0;
}

void user_plugins(char out[PATH_SIZE + PATH_TAIL])
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    out[0] = 0;
    if (data && data[0] == '/') /* the XDG specification: a relative path is to be ignored */
        snprintf(out, PATH_SIZE + PATH_TAIL, "%s/vitro/plugins", data);
    else if (home && home[0])
        snprintf(out, PATH_SIZE + PATH_TAIL, "%s/.local/share/vitro/plugins", home);
}

/* The program lies in <prefix>/bin, with its plugins in <prefix>/lib; in a build tree they are beside bin. */
int open_plugins(struct plugins **out, const struct settings *s)
{
    static int verbose;
    char folder[PATH_SIZE], user[PATH_SIZE + PATH_TAIL], installed[PATH_SIZE + PATH_TAIL],
        built[PATH_SIZE + PATH_TAIL], *first;
    TRY(program_folder(folder));
    char *bin = strrchr(folder, '/');
    if (bin)
        *bin = 0;
    else
        strcpy(folder, "..");
    user_plugins(user);
    snprintf(installed, sizeof installed, "%s/lib/vitro/plugins", folder);
    snprintf(built, sizeof built, "%s/plugins", folder);
    const char *const defaults[] = {user, installed, built, NULL};
    TRY(join_path(&s->plugin_path, &first));
    int rc = plugins_create_in(out, first, defaults);
    mem_free(first);
    TRY(rc);
    verbose = s->verbose;
    plugins_set_log(*out, log_line, &verbose);
    return 0;
}

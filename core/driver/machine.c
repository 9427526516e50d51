/* machine.c - see machine.h. */
#include "machine.h"

#include "file.h"
#include "memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say_line(void *context, const char *text)
{
    (void)context;
    say("%s", text);
}

/* Test feature (docs/runtime.md): VITRO_LOSE_SUBMIT=N[:TIMES[:FILE]] makes the N-th submit lose the device, TIMES over
 * when it is opened anew; with FILE only in the process that creates that file. */
static int read_loss(struct device_spec *spec)
{
    const char *text = getenv("VITRO_LOSE_SUBMIT");
    char *end;
    if (!text || !*text)
        return 0;
    const unsigned long submit = strtoul(text, &end, 10),
                        times = *end == ':' ? strtoul(end + 1, &end, 10) : 1;
    if (!submit || !times || times > 1000 || (*end && *end != ':'))
        return fail(ERR_INPUT, "the environment's VITRO_LOSE_SUBMIT is '%.80s'; it must be N[:TIMES[:FILE]]",
                    text);
    const int file = *end ? open(end + 1, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644) : -1;
    if (*end && file < 0)
        return 0;
    if (file >= 0)
        close(file);
    spec->lose_submit = submit;
    spec->lose_times = (int)times;
    return 0;
}

/* The file of --tuning, or else of VITRO_TUNING, or else the one that `vitro tune` wrote; "off": none. */
static int open_tuning(struct machine *m, const struct settings *s)
{
    const char *told = s->tuning ? s->tuning : getenv("VITRO_TUNING");
    char path[1024];
    if (told && !strcmp(told, "off"))
        return 0;
    if (told && *told)
        snprintf(path, sizeof path, "%s", told);
    else if (tuning_path(device_info(m->device), path, sizeof path) < 0)
        return 0; /* without a cache folder there is nothing tuned */
    TRY(tuning_read(&m->tuning, m->engine, path));
    if (!m->tuning && told && *told && !s->tuning_kept)
        return ERR_INPUT; /* it was asked for: tuning_read said why it cannot be used */
    if (!m->tuning && file_exists(path))
        say("the tuning is not used: %s", error_text());
    tuning_use(m->tuning, m->engine);
    return 0;
}

int machine_open(struct machine *m, const struct settings *s)
{
    struct device_spec spec = {
        .index = s->device, .validate = s->validate, .memory = (uint64_t)s->device_memory << 20};
    TRY(read_loss(&spec));
    TRY(device_open(&m->device, &spec));
    if (s->verbose)
        say("device: %s, driver %s", device_info(m->device)->name, device_info(m->device)->driver);
    TRY(engine_create(&m->engine, m->device, ENGINE_AUTO));
    engine_set_log(m->engine, say_line, NULL);
    return open_tuning(m, s);
}

int machine_check(const struct machine *m)
{
    return m->device ? device_check(m->device) : 0;
}

void machine_close(struct machine *m)
{
    plugins_destroy(m->plugins);
    engine_destroy(m->engine);
    tuning_destroy(m->tuning);
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

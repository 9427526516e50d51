/* verb_plugins_new.c - `vitro plugins new NAME`: a folder with a method to start from. Its files are those of
 * sdk/template, with the word "template" become the name. */
#include "verb_plugins.h"

#include "file.h"
#include "machine.h"
#include "memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_LIMIT = 31, TEXT_LIMIT = 1 << 16, COMMAND = 2 * PATH_SIZE };

/* skeleton.S */
extern const char skeleton_source[], skeleton_cmake[], skeleton_make[], skeleton_readme[];

struct words { /* what stands in the files for what is known only now */
    const char *name;
    char prefix[PATH_SIZE], vitro[COMMAND];
};

static int check_name(struct plugins *plugins, const char *name)
{
    const struct plugin_file *files;
    size_t count;
    if (strlen(name) > NAME_LIMIT || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] || !*name)
        return fail(ERR_USAGE,
                    "plugins new: \"%.40s\" cannot be a plugin's name; it takes 1 to %d of a-z, 0-9 and _",
                    name, NAME_LIMIT);
    if (!strcmp(name, "new"))
        return fail(ERR_USAGE,
                    "plugins new: the name \"new\" would be taken for this command; choose another");
    TRY(plugins_files(plugins, &files, &count));
    for (size_t i = 0; i < count; i++)
        if (!strcmp(files[i].id, name))
            return fail(ERR_USAGE, "plugins new: there is a plugin %s already, %.300s; choose another name",
                        name, files[i].path);
    return 0;
}

/* Whether the folder is one of those where a shell looks for programs. */
static int in_path(const char *folder)
{
    const char *path = getenv("PATH");
    size_t n = strlen(folder);
    while (path && *path) {
        size_t part = strcspn(path, ":");
        if (part == n && !strncmp(path, folder, n))
            return 1;
        path += part + (path[part] == ':');
    }
    return 0;
}

/* How this program is started again: by its name, or by its path and what it was started through. */
static int know_words(struct words *w, const char *name)
{
    const char *launcher = getenv("VITRO_LAUNCHER"), *exe = getenv("VITRO_EXE");
    char folder[PATH_SIZE];
    TRY(program_folder(folder));
    w->name = name;
    snprintf(w->prefix, sizeof w->prefix, "%s", folder);
    char *bin = strrchr(w->prefix, '/');
    if (bin)
        *bin = 0;
    int started_through = launcher && *launcher && exe && *exe;
    if (!started_through && in_path(folder))
        snprintf(w->vitro, sizeof w->vitro, "vitro");
    else
        snprintf(w->vitro, sizeof w->vitro, "%s%s%s/vitro", started_through ? launcher : "",
                 started_through ? " " : "", folder);
    return 0;
}

/* The word that starts at text[at], and what it becomes; 0 when none does. */
static size_t word_at(const struct words *w, const char *text, size_t at, const char **becomes)
{
    const struct {
        const char *word, *becomes;
    } all[] = {{"@PREFIX@", w->prefix}, {"@VITRO@", w->vitro}, {"template", w->name}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        size_t n = strlen(all[i].word);
        int whole = !isalnum((unsigned char)all[i].word[0]) ||
                    ((!at || !isalnum((unsigned char)text[at - 1])) && !isalnum((unsigned char)text[at + n]));
        if (!strncmp(text + at, all[i].word, n) && whole) {
            *becomes = all[i].becomes;
            return n;
        }
    }
    return 0;
}

static int write_file(const char *folder, const char *name, const char *text, const struct words *w)
{
    char path[PATH_SIZE + 2 * PATH_TAIL], *out = mem_alloc(TEXT_LIMIT, 1);
    size_t size = 0;
    int rc = out ? 0 : ERR_MEMORY;
    for (size_t at = 0; rc == 0 && text[at];) {
        const char *becomes = NULL;
        size_t n = word_at(w, text, at, &becomes), length = n ? strlen(becomes) : 1;
        if (size + length >= TEXT_LIMIT)
            rc = fail(ERR_IO, "%s/%s: it grows beyond %d bytes", folder, name, TEXT_LIMIT);
        else
            memcpy(out + size, n ? becomes : text + at, length);
        size += length;
        at += n ? n : 1;
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (rc == 0)
        rc = file_write(path, out, size);
    mem_free(out);
    return rc;
}

static int write_all(const char *folder, const struct words *w)
{
    char source[NAME_LIMIT + 3];
    snprintf(source, sizeof source, "%s.c", w->name);
    TRY(file_make_folders(folder));
    TRY(write_file(folder, source, skeleton_source, w));
    TRY(write_file(folder, "CMakeLists.txt", skeleton_cmake, w));
    TRY(write_file(folder, "Makefile", skeleton_make, w));
    return write_file(folder, "README.md", skeleton_readme, w);
}

int plugin_new(struct plugins *plugins, const struct settings *s)
{
    struct words *w = mem_alloc(1, sizeof *w);
    char folder[PATH_SIZE + PATH_TAIL];
    int rc = w ? 0 : ERR_MEMORY;
    if (s->rest_count < 2)
        rc = fail(ERR_USAGE, "plugins new: NAME is missing; the usage is: vitro plugins new NAME");
    TRY_OUT(rc);
    TRY_OUT(check_name(plugins, s->rest[1]));
    if (s->directory && strlen(s->directory) >= PATH_SIZE)
        rc = fail(ERR_USAGE, "plugins new: the folder's name is longer than %d bytes", PATH_SIZE - 1);
    TRY_OUT(rc);
    snprintf(folder, sizeof folder, "%s%s%s", s->directory ? s->directory : "", s->directory ? "/" : "",
             s->rest[1]);
    if (file_exists(folder))
        rc = fail(ERR_USAGE,
                  "plugins new: %.300s is there already and stays as it is; choose another name or "
                  "--directory",
                  folder);
    TRY_OUT(rc);
    TRY_OUT(know_words(w, s->rest[1]));
    TRY_OUT(write_all(folder, w));
    printf("%s holds a method that works. Build it, let it be checked, train it:\n\n"
           "  cd %s\n"
           "  PKG_CONFIG_PATH=%s/lib/pkgconfig make\n"
           "  %s lint ./vitro_%s.so\n"
           "  %s train --method ./vitro_%s.so --data builtin:textures --epochs 2\n\n"
           "Then change %s.c; README.md says more.\n",
           folder, folder, w->prefix, w->vitro, w->name, w->vitro, w->name, w->name);
out:
    mem_free(w);
    return rc;
}

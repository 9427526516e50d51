/* check_file.c - the plugin as a file: what it exports and needs, that it opens, quickly, and that its
 * descriptor is one this host reads. */
#include "lint_private.h"

#include "clock.h"
#include "elf_file.h"
#include "error.h"
#include "library.h"
#include "plugin_private.h"

#include <stdio.h>
#include <string.h>

/* --- before it is opened */

/* Marks of a library's sections, which some linkers (gold) export from every one. */
static int is_linkers_own(const char *symbol)
{
    return !strcmp(symbol, "_end") || !strcmp(symbol, "_edata") || !strcmp(symbol, "__bss_start");
}

enum lint_result check_symbols(struct subject *s)
{
    struct elf_file f;
    const char *other = NULL;
    size_t linkers = 0;
    if (elf_file_open(&f, s->path) < 0)
        return verdict(s, LINT_SKIP, "%s", error_text());
    for (size_t i = 0; i < f.exports.count && i < ELF_NAMES; i++) {
        const int own = is_linkers_own(f.exports.name[i]);
        linkers += (size_t)own;
        if (!other && !own && strcmp(f.exports.name[i], "vitro_plugin") != 0)
            other = f.exports.name[i];
    }
    if (other)
        return verdict(s, LINT_FAIL,
                       "it exports %.80s besides vitro_plugin, %zu symbols in all; make it static or build "
                       "with -fvisibility=hidden",
                       other, f.exports.count - linkers);
    if (f.exports.count == linkers)
        return verdict(s, LINT_FAIL,
                       "it exports no vitro_plugin; declare it `const vitro_plugin_info "
                       "vitro_plugin` after including vitro/method.h");
    return verdict(s, LINT_PASS, "vitro_plugin is the only symbol");
}

/* The first of the libraries whose name begins with one of `words` (ended by NULL), or, with `other`, with
 * none of them; or NULL. */
static const char *first_library(const struct elf_names *needs, const char *const *words, int other)
{
    for (size_t i = 0; i < needs->count && i < ELF_NAMES; i++) {
        int found = 0;
        for (const char *const *w = words; *w; w++)
            found |= !strncmp(needs->name[i], *w, strlen(*w));
        if (found != other)
            return needs->name[i];
    }
    return NULL;
}

enum lint_result check_links(struct subject *s)
{
    static const char *const unavoidable[] = {"libc.", "ld-linux", "ld-musl", "ld64.", NULL};
    static const char *const sanitizers[] = {"libasan.", "libubsan.",    "libtsan.",
                                             "liblsan.", "libclang_rt.", NULL};
    struct elf_file f; /* until this process ends */
    if (elf_file_open(&f, s->path) < 0)
        return verdict(s, LINT_SKIP, "%s", error_text());
    const char *other = first_library(&f.needs, unavoidable, 1);
    const char *sanitizer = first_library(&f.needs, sanitizers, 0);
    if (sanitizer)
        return verdict(s, LINT_PASS, "it is built with %.40s, which brings other libraries along", sanitizer);
    if (other)
        return verdict(
            s, LINT_FAIL,
            "it needs the library %.80s; a plugin is handed all it needs and links nothing, so that "
            "it loads everywhere",
            other);
    return verdict(s, LINT_PASS, f.needs.count ? "it needs %s only" : "it needs no library",
                   f.needs.count ? f.needs.name[0] : "");
}

/* --- opened */

static int open_it(struct subject *s, const void **symbol)
{
    note(s, "while it was opened; only a constructor can run there");
    int rc = library_open(s->path, symbol);
    note(s, "%s", "");
    return rc;
}

enum lint_result check_load(struct subject *s)
{
    const void *symbol;
    MUST(s, open_it(s, &symbol));
    return verdict(s, LINT_PASS, "it opens, and vitro_plugin is there");
}

static int time_opening(void *context, int answer)
{
    const struct subject *s = context;
    const void *symbol;
    double began = clock_seconds();
    TRY(library_open(s->path, &symbol));
    double seconds = clock_seconds() - began;
    return child_write(answer, &seconds, sizeof seconds);
}

/* The fastest of a few openings, each in a fresh process: a busy machine makes some of them slow. */
enum lint_result check_scan(struct subject *s)
{
    enum { TIMES = 3 };
    static const double limit = 0.1;
    double best = 1e9;
    for (int i = 0; i < TIMES && best > limit; i++) {
        struct child_end end;
        double seconds;
        MUST(s, subject_ask(s, &end, time_opening, s));
        if (end.fate != CHILD_DONE || end.size != sizeof seconds)
            return verdict(s, LINT_FAIL, "%s", end.text);
        memcpy(&seconds, end.answer, sizeof seconds);
        best = seconds < best ? seconds : best;
    }
    if (best > limit)
        return verdict(
            s, LINT_FAIL,
            "opening it takes %.0f ms, at most %.0f are allowed; leave work to declare, which runs "
            "when the method is used",
            1000 * best, 1000 * limit);
    return verdict(s, LINT_PASS, "opening it takes %.2g ms", 1000 * best);
}

enum lint_result check_version(struct subject *s)
{
    vitro_plugin_info info = {0};
    const void *symbol;
    MUST(s, open_it(s, &symbol));
    MUST(s, plugin_check_head(s->path, symbol, &info));
    return verdict(s, LINT_PASS, "ABI %u.%u, a descriptor of %u bytes%s", info.abi >> 16, info.abi & 0xffff,
                   info.size,
                   info.size < sizeof info   ? ", from before later slots"
                   : info.size > sizeof info ? ", the last of which this host does not know"
                                             : "");
}

/* --- its card and its options */

static int is_blank(const char *text)
{
    return !text || !text[strspn(text, " \t\n")];
}

static int names_the_file(const struct subject *s, const char *id)
{
    char wanted[ID_LIMIT + 16];
    const char *file = strrchr(s->path, '/');
    snprintf(wanted, sizeof wanted, "vitro_%s.so", id);
    return !strcmp(file ? file + 1 : s->path, wanted);
}

enum lint_result check_card(struct subject *s)
{
    vitro_plugin_info info = {0};
    const void *symbol;
    MUST(s, open_it(s, &symbol));
    MUST(s, plugin_check_head(s->path, symbol, &info));
    if (!names_the_file(s, info.id))
        return verdict(s, LINT_FAIL, "its id is %s, so the file must be named vitro_%s.so to be found by it",
                       info.id, info.id);
    if (is_blank(info.version))
        return verdict(s, LINT_FAIL, "its version is empty; say \"1.0\", for instance");
    if (is_blank(info.summary))
        return verdict(s, LINT_FAIL, "it has no summary; one line, shown by `vitro plugins`");
    if (strchr(info.summary, '\n'))
        return verdict(s, LINT_FAIL, "its summary has several lines; it is a row of a table");
    if (is_blank(info.paper))
        return verdict(s, LINT_WARN, "it names no paper; say where its equations are written down");
    return verdict(s, LINT_PASS, "%s %s, %s", info.id, info.version, info.paper);
}

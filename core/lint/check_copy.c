/* check_copy.c - whether another installed method is the same one: a benchmark of copies measures nothing. */
#include "likeness.h"
#include "sets.h"

#include "error.h"
#include "memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double ALIKE = 0.9; /* from here on somebody should look; the shipped methods stay below */

struct match {
    double likeness;
    int as_is; /* with the other's defaults */
    char options[200];
};

struct other { /* a comparison with an installed plugin, made in a child of its own */
    struct subject subject;
    const struct likeness *mine;
};

static int compare(struct other *o, const char *options, int as_is, struct match *best)
{
    char text[LAB_TEXT];
    struct likeness theirs;
    int rc = likeness_of(&theirs, &o->subject, lab_text(&o->subject, text, "", options, ""));
    if (rc < 0)
        return as_is ? rc : 0; /* it refuses this model with these options */
    double likeness = likeness_compare(o->mine, &theirs);
    if (likeness > best->likeness) {
        *best = (struct match){.likeness = likeness, .as_is = as_is};
        snprintf(best->options, sizeof best->options, "%s", options);
    }
    likeness_free(&theirs);
    return 0;
}

static int compare_all(void *context, int answer)
{
    struct other *o = context;
    struct match best = {.likeness = -1};
    struct sets sets;
    TRY(sets_make(&sets, &o->subject, SETS_CHOICES));
    for (size_t i = 0; i < sets.count; i++)
        TRY(compare(o, sets.text[i], i == 0, &best));
    return child_write(answer, &best, sizeof best);
}

/* The same file, or another build of the same method. */
static int is_itself(const struct subject *s, const struct plugin_file *file, const char *id)
{
    char real[PATH_MAX];
    return !strcmp(file->id, id) || (realpath(file->path, real) && !strcmp(real, s->path));
}

static int ask_other(struct subject *s, const struct likeness *mine, const struct plugin_file *file,
                     struct match *out)
{
    struct other o = {.subject = *s, .mine = mine};
    struct child_end end;
    o.subject.name = o.subject.path = file->path;
    o.subject.options = "";
    TRY(subject_ask(s, &end, compare_all, &o));
    if (end.fate != CHILD_DONE || end.size != sizeof *out)
        return fail(ERR_PLUGIN, "%s", end.text);
    memcpy(out, end.answer, sizeof *out);
    mem_free(end.answer);
    return 0;
}

static enum lint_result judge_match(struct subject *s, const struct match *m, const char *id, size_t compared)
{
    char other[300];
    snprintf(other, sizeof other, *m->options && !m->as_is ? "%s[%s]" : "%s", id, m->options);
    if (m->likeness >= 1 && m->as_is)
        return verdict(s, LINT_FAIL,
                       "it computes what %s computes, from the same parameters at the same sites: a copy",
                       other);
    if (m->likeness >= ALIKE)
        return verdict(s, LINT_WARN, "it is %.0f %% like %s; could it be an option of that method?",
                       100 * m->likeness, other);
    return verdict(s, LINT_PASS, "of %zu installed methods %s is the most like it, by %.0f %%", compared,
                   other, 100 * m->likeness);
}

enum lint_result check_copy(struct subject *s)
{
    char text[LAB_TEXT];
    const struct plugin *plugin;
    const struct plugin_file *files;
    struct likeness mine;
    struct match best = {.likeness = -1}, m;
    size_t count, compared = 0, most = 0;
    MUST(s, plugins_load(s->plugins, s->path, &plugin));
    MUST(s, plugins_files(s->plugins, &files, &count));
    if (likeness_of(&mine, s, lab_text(s, text, "", s->options, "")) < 0)
        return verdict(s, LINT_SKIP, "it refuses the models on which methods are compared: %s", error_text());
    for (size_t i = 0; i < count; i++) {
        if (is_itself(s, &files[i], plugin->info.id) || ask_other(s, &mine, &files[i], &m) < 0)
            continue; /* one that cannot be recorded is that one's affair */
        compared++;
        if (m.likeness > best.likeness) {
            best = m;
            most = i;
        }
    }
    likeness_free(&mine);
    if (!compared)
        return verdict(s, LINT_SKIP, "no other method is installed to compare it with");
    return judge_match(s, &best, files[most].id, compared);
}

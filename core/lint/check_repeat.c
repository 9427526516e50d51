/* check_repeat.c - the same again: in another instance, beside another one, and in another process. */
#include "dump.h"
#include "library.h"
#include "sets.h"

#include "error.h"
#include "memory.h"

#include <stdio.h>
#include <string.h>

struct person { /* an instance in the making */
    struct subject *subject;
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct lab lab;
};

static int record_dump(struct lab *l, struct dump *d)
{
    TRY(lab_record(l, &(struct lab_run){.training = 1, .drop_path = 0.1f}));
    return dump_lab(d, l);
}

static int dump_alone(void *context, int answer)
{
    struct person *p = context;
    struct dump d = {0};
    TRY(lab_declare(&p->lab, p->subject, p->text, &p->shape));
    TRY(record_dump(&p->lab, &d));
    return child_write(answer, d.text, d.size);
}

/* In a process of its own, where nothing was before. */
static int ask_alone(struct person *p, struct dump *out)
{
    struct child_end end;
    TRY(subject_ask(p->subject, &end, dump_alone, p));
    if (end.fate != CHILD_DONE)
        return fail(ERR_PLUGIN, "%s, %s", end.text, p->text);
    *out = (struct dump){end.answer, end.size, end.size, 0};
    return 0;
}

static int dump_here(struct person *p, struct dump *out)
{
    TRY(lab_declare(&p->lab, p->subject, p->text, &p->shape));
    int rc = record_dump(&p->lab, out);
    lab_close(&p->lab);
    return rc;
}

/* --- shapes are found in another process too, so that nothing of the plugin has run in this one */

struct question {
    struct subject *subject;
    const char *text;
    int other; /* wider and deeper than where it is judged, if it goes along with that */
};

static int find_shape(void *context, int answer)
{
    const struct question *q = context;
    struct vit_shape shape;
    struct lab l;
    TRY(lab_shape(q->subject, q->text, &shape));
    if (q->other) {
        struct vit_shape wider = shape;
        wider.depth++;
        wider.dim *= 2;
        wider.hidden *= 2;
        shape.depth++;
        if (lab_declare(&l, q->subject, q->text, &wider) == 0)
            shape = wider;
    }
    return child_write(answer, &shape, sizeof shape);
}

static int ask_shape(struct person *p, int other)
{
    struct question q = {p->subject, p->text, other};
    struct child_end end;
    TRY(subject_ask(p->subject, &end, find_shape, &q));
    if (end.fate != CHILD_DONE || end.size != sizeof p->shape)
        return fail(ERR_PLUGIN, "%s, %s", end.text, p->text);
    memcpy(&p->shape, end.answer, sizeof p->shape);
    mem_free(end.answer);
    return 0;
}

enum lint_result check_repeat(struct subject *s)
{
    enum { TIMES = 3 };
    static struct person p;
    struct dump first = {0}, again = {0};
    char wanted[DUMP_LINE], found[DUMP_LINE];
    p.subject = s;
    lab_text(s, p.text, "", s->options, "");
    MUST(s, ask_shape(&p, 0));
    MUST(s, ask_alone(&p, &first));
    for (int i = 0; i < TIMES; i++) {
        MUST(s, dump_here(&p, &again));
        if (dump_differ(&first, &again, wanted, found))
            return verdict(s, LINT_FAIL,
                           "instance %d of a process is not that of another process: \"%s\" against "
                           "\"%s\"",
                           i + 1, found, wanted);
        dump_free(&again);
    }
    return verdict(s, LINT_PASS, "%d instances in two processes declare and record the same", TIMES + 1);
}

/* --- two at once */

/* A copy of the library's globals, to be compared later. */
struct globals {
    struct library_range range[8];
    unsigned char *copy[8];
    size_t count;
};

/* Byte by byte and unwatched: between globals lie an AddressSanitizer's red zones. */
#if defined(__GNUC__)
__attribute__((no_sanitize("address"), noinline))
#endif
static size_t
differs(const volatile unsigned char *now, unsigned char *copy, size_t size, int take)
{
    size_t changed = 0;
    for (size_t i = 0; i < size; i++) {
        changed += copy[i] != now[i];
        if (take)
            copy[i] = now[i];
    }
    return changed;
}

static int remember_globals(struct globals *g, const char *path)
{
    const void *symbol;
    TRY(library_open(path, &symbol));
    g->count = library_globals(symbol, g->range, sizeof g->range / sizeof *g->range);
    for (size_t i = 0; i < g->count; i++) {
        g->copy[i] = mem_alloc(g->range[i].size, 1);
        if (!g->copy[i])
            return ERR_MEMORY;
        differs(g->range[i].bytes, g->copy[i], g->range[i].size, 1);
    }
    return 0;
}

static size_t changed_globals(const struct globals *g)
{
    size_t changed = 0;
    for (size_t i = 0; i < g->count; i++)
        changed += differs(g->range[i].bytes, g->copy[i], g->range[i].size, 0);
    return changed;
}

/* One with the subject's options; the other with the last of the usual sets that is taken, on another
 * model. */
static int two_people(struct subject *s, struct person who[2])
{
    struct sets sets;
    int rc = sets_make(&sets, s, SETS_USUAL);
    for (int i = 0; i < 2; i++)
        who[i].subject = s;
    if (rc == 0) {
        lab_text(s, who[0].text, "", sets.text[0], "");
        rc = ask_shape(&who[0], 0);
    }
    int taken = 0;
    for (size_t i = sets.count; rc == 0 && !taken && i-- > 0;) {
        lab_text(s, who[1].text, "", sets.text[i], "");
        taken = ask_shape(&who[1], 1) == 0;
    }
    if (rc == 0 && !taken)
        rc = fail(ERR_PLUGIN, "%s", error_text());
    sets_free(&sets);
    return rc;
}

/* Both opened before either is recorded, then in turn, then one alone again. */
static int live_together(struct person who[2], struct dump out[3])
{
    for (int i = 0; i < 2; i++)
        TRY(lab_declare(&who[i].lab, who[i].subject, who[i].text, &who[i].shape));
    for (int i = 0; i < 2; i++)
        TRY(record_dump(&who[i].lab, &out[i]));
    lab_close(&who[1].lab);
    return record_dump(&who[0].lab, &out[2]);
}

enum lint_result check_instances(struct subject *s)
{
    static struct person who[2];
    struct dump alone[2] = {{0}}, together[3] = {{0}};
    struct globals globals = {0};
    char wanted[DUMP_LINE], found[DUMP_LINE];
    MUST(s, remember_globals(&globals, s->path));
    MUST(s, two_people(s, who));
    for (int i = 0; i < 2; i++)
        MUST(s, ask_alone(&who[i], &alone[i]));
    MUST(s, live_together(who, together));
    for (int i = 0; i < 3; i++)
        if (dump_differ(&alone[i % 2], &together[i], wanted, found))
            return verdict(s, LINT_FAIL,
                           "beside another instance it becomes another: \"%s\", alone \"%s\"; keep "
                           "everything in self",
                           found, wanted);
    size_t changed = changed_globals(&globals);
    if (changed)
        return verdict(s, LINT_FAIL,
                       "%zu bytes of its globals change while it works, and instances share them; "
                       "keep everything in self, and make tables const",
                       changed);
    return verdict(s, LINT_PASS,
                   "two instances with other options on other models do not know of each other");
}

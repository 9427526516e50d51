/* check_life.c - a plugin's life from declare to finish: that it gets through, leaves nothing behind and
 * says nothing on the way. */
#include "lab.h"
#include "resources.h"

#include "error.h"
#include "memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum lint_result check_declare(struct subject *s)
{
    char text[LAB_TEXT], refusal[256] = "";
    int refused = 0;
    lab_text(s, text, "", s->options, "");
    for (int i = 0; i < LAB_SHAPES; i++) {
        struct lab l;
        const struct vit_shape *shape = &lab_shapes[i];
        note(s, "in declare, for a model %d wide and %d deep", shape->dim, shape->depth);
        if (lab_declare(&l, s, text, shape) < 0) {
            snprintf(refusal, sizeof refusal, "%s", error_text());
            refused++;
        }
        lab_close(&l);
    }
    if (refused == LAB_SHAPES)
        return verdict(s, LINT_FAIL, "no model is good enough for it, widths 32 to 768 were tried: %s",
                       refusal);
    if (refused)
        return verdict(s, LINT_WARN, "it declares against %d of %d shapes; of another it says: %s",
                       LAB_SHAPES - refused, LAB_SHAPES, refusal);
    return verdict(s, LINT_PASS, "it declares against models 32 to 768 wide");
}

/* Everything that a plugin can be asked to record, once. */
static int live(struct subject *s, struct lab *l)
{
    static const struct lab_run runs[] = {
        {.training = 0}, {.training = 1, .drop_path = 0.1f}, {.training = 1, .derive = 1}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        note(s, "while its forward%s recorded",
             runs[i].training && !runs[i].derive ? " and backward were" : " was");
        TRY(lab_record(l, &runs[i]));
    }
    note(s, "while its merge was recorded");
    return lab_try_merge(l);
}

/* The first of its parameters that trains and that the loss does not depend on, or NULL. */
static const struct tensor *unused(const struct lab *l)
{
    const struct tensor *found = NULL;
    unsigned char *live = mem_alloc(tape_size(l->tape), 1);
    if (live)
        tape_live(l->tape, &l->loss, 1, live);
    for (size_t i = 0; live && !found && i < l->count; i++)
        if (!live[l->wrt[i]] && l->tensors[l->ids[i]].owner >= 0)
            found = &l->tensors[l->ids[i]];
    mem_free(live);
    return found;
}

enum lint_result check_trace(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct lab l;
    struct method_part part;
    lab_text(s, text, "", s->options, "");
    MUST(s, lab_shape(s, text, &shape));
    MUST(s, lab_declare(&l, s, text, &shape));
    MUST(s, live(s, &l));
    MUST(s, method_part(l.method, 0, &part));
    const struct tensor *idle = unused(&l);
    if (idle)
        return verdict(s, LINT_WARN, "the loss does not depend on %s, so it is counted but never learns",
                       idle->name);
    if (!part.hooks && !part.unfreezes && !part.declared)
        return verdict(s, LINT_PASS, "it hooks nothing and trains nothing but the head");
    return verdict(s, LINT_PASS, "on %dx%d pixels, %d wide, %d deep: %u values", shape.image, shape.image,
                   shape.dim, shape.depth, tape_size(l.tape));
}

/* --- ends */

/* created only; declared; refused by declare because told so; used in full */
static int end_at(struct subject *s, const char *text, const struct vit_shape *shape, int stage)
{
    struct lab l = {0};
    static const char *const stages[] = {"before declare", "after declare", "after it was used"};
    note(s, "in finish, %s", stages[stage]);
    if (stage == 0) {
        struct method *m;
        TRY(method_create(&m, s->plugins, text));
        method_destroy(m);
        return 0;
    }
    TRY(lab_declare(&l, s, text, shape));
    if (stage == 2)
        TRY(live(s, &l));
    note(s, "in finish, %s", stages[stage]);
    lab_close(&l);
    return 0;
}

enum lint_result check_finish(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    const struct plugin *plugin;
    lab_text(s, text, "", s->options, "");
    MUST(s, lab_shape(s, text, &shape));
    for (int round = 0; round < 3; round++)
        for (int stage = 0; stage < 3; stage++)
            MUST(s, end_at(s, text, &shape, stage));
    MUST(s, plugins_load(s->plugins, s->path, &plugin));
    return verdict(s, LINT_PASS,
                   plugin->info.finish ? "finish was called at three stages" : "it needs no finish");
}

struct stretch { /* lives lived in a thread of their own */
    struct subject *subject;
    const char *text;
    const struct vit_shape *shape;
    int cycles, rc;
    char why[TEXT_SIZE];
};

static void *live_stretch(void *context)
{
    struct stretch *h = context;
    for (int i = 0; i < h->cycles && h->rc == 0; i++)
        h->rc = end_at(h->subject, h->text, h->shape, 2);
    if (h->rc < 0)
        snprintf(h->why, sizeof h->why, "%s", error_text());
    return NULL;
}

/* Lives, then counts. The C library keeps freed memory ready for the thread that freed it and counts it as
 * taken; when the thread ends, what is still taken is exactly what nobody freed. */
static int live_and_count(struct stretch *h, struct resources *after)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, live_stretch, h) != 0)
        return fail(ERR_MEMORY, "out of memory: no thread could be had");
    pthread_join(thread, NULL);
    resources_count(after);
    return h->rc < 0 ? fail(h->rc, "%s", h->why) : 0;
}

enum lint_result check_leaks(struct subject *s)
{
    enum { CYCLES = 12, STRETCHES = 4 };
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct resources count[STRETCHES];
    struct stretch h = {.subject = s, .text = text, .shape = &shape, .cycles = CYCLES};
    resources_keep_plain();
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    for (int i = 0; i < STRETCHES; i++)
        MUST(s, live_and_count(&h, &count[i]));
    struct resources last = count[STRETCHES - 1], before = count[STRETCHES - 2], first = count[STRETCHES - 3];
    if (last.heap > before.heap && before.heap > first.heap)
        return verdict(s, LINT_FAIL,
                       "an instance leaves about %zu bytes behind; free in finish what init took",
                       (last.heap - before.heap + CYCLES / 2) / CYCLES);
    if (last.files > before.files || last.threads > before.threads)
        return verdict(s, LINT_FAIL,
                       "after %d instances there are %d open files and %d threads more; it needs neither",
                       CYCLES, last.files - before.files, last.threads - before.threads);
    if (last.pages >= before.pages + CYCLES && before.pages >= first.pages + CYCLES)
        return verdict(s, LINT_FAIL, "an instance leaves about %zu pages of memory behind",
                       (last.pages - before.pages) / CYCLES);
    return verdict(s, LINT_PASS, "nothing grows over %d instances", STRETCHES * CYCLES);
}

/* --- words */

enum lint_result check_quiet(struct subject *s)
{
    char text[LAB_TEXT], said[80] = "";
    struct vit_shape shape;
    struct lab l;
    FILE *ear = tmpfile();
    int file = ear ? fileno(ear) : -1;
    if (file < 0)
        return verdict(s, LINT_SKIP, "a temporary file could not be had, so nothing can be overheard");
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    lab_text(s, text, "", s->options, "");
    MUST(s, lab_shape(s, text, &shape));
    MUST(s, lab_declare(&l, s, text, &shape));
    MUST(s, live(s, &l));
    lab_close(&l);
    fflush(NULL);
    off_t size = lseek(file, 0, SEEK_END);
    if (size <= 0)
        return verdict(s, LINT_PASS, "it prints nothing");
    ssize_t n = pread(file, said, sizeof said - 1, 0);
    for (ssize_t i = 0; i < n; i++)
        if ((unsigned char)said[i] < ' ')
            said[i] = ' ';
    return verdict(s, LINT_WARN,
                   "it prints %ld bytes: \"%s\"; say it through host->log, which the program "
                   "shows where it belongs",
                   (long)size, said);
}

/* lint.c - see lint.h: finds the plugin's file, makes the checks one after the other, each in a child. */
#include "lint_private.h"

#include "clock.h"
#include "error.h"
#include "memory.h"
#include "nearest.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 }; /* shadow memory takes more than any limit */
#else
enum { SANITIZED = 0 };
#endif

static const rlim_t MEMORY_LIMIT = (rlim_t)8 << 30; /* of addresses, bytes; a few GiB are the program's own */

static const struct row {
    struct lint_check check;
    lint_function *function;
} rows[] = {
#define X(name, proves, needs) {{#name, proves, needs}, check_##name},
    LINT_CHECKS(X)
#undef X
};
enum { COUNT = sizeof rows / sizeof *rows };

const char *const lint_result_names[LINT_RESULTS] = {"pass", "warn", "skip", "fail", "crash"};

size_t lint_count(void)
{
    return COUNT;
}

const struct lint_check *lint_at(size_t i)
{
    return &rows[i].check;
}

enum lint_result verdict(struct subject *s, enum lint_result result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->text, sizeof s->text, format, args);
    va_end(args);
    return result;
}

enum lint_result verdict_of_error(struct subject *s)
{
    return verdict(s, LINT_FAIL, "%s", error_text());
}

void note(struct subject *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->note->text, sizeof s->note->text, format, args);
    va_end(args);
}

int subject_ask(const struct subject *s, struct child_end *end, int (*work)(void *context, int answer),
                void *context)
{
    const double least = 0.1, spare = 0.2; /* seconds; the asker must be there when the asked hangs */
    double left = s->until - clock_seconds() - spare;
    return child_run(end, work, context, left > least ? left : least);
}

/* --- in the child */

struct answer {
    enum lint_result result;
    char text[TEXT_SIZE];
};

struct task {
    struct subject *subject;
    const struct row *row;
};

/* Whoever judges may have handlers of its own, which say nothing about the plugin. */
static void crash_plainly(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL, SIGABRT,
                                  SIGTRAP, SIGTERM, SIGINT, SIGXCPU};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
}

/* Whole seconds, at least one; then a signal that nothing catches. */
static void limit_computing(double seconds)
{
    const struct rlimit time = {(rlim_t)ceil(seconds), (rlim_t)ceil(seconds) + 1};
    setrlimit(RLIMIT_CPU, &time);
}

static int make_check(void *context, int answer)
{
    const struct task *task = context;
    const struct rlimit memory = {MEMORY_LIMIT, MEMORY_LIMIT};
    struct answer a = {LINT_PASS, ""};
    crash_plainly();
    limit_computing(task->subject->seconds);
    plugins_set_log(task->subject->plugins, NULL, NULL);
    if (!SANITIZED)
        setrlimit(RLIMIT_AS, &memory);
    a.result = task->row->function(task->subject);
    memcpy(a.text, task->subject->text, sizeof a.text);
    return child_write(answer, &a, sizeof a);
}

/* --- in the caller */

struct run {
    const struct lint_job *job;
    struct subject subject;
    enum lint_result results[COUNT];
    unsigned char wanted[COUNT], told[COUNT];
    unsigned char closed[COUNT]; /* failed, or not made because what it needs failed */
};

static size_t row_of(const char *name)
{
    size_t i = 0;
    while (i < COUNT && strcmp(rows[i].check.name, name) != 0)
        i++;
    return i;
}

static int choose(struct run *r)
{
    const struct lint_job *job = r->job;
    for (size_t i = 0; i < COUNT; i++)
        r->wanted[i] = r->told[i] = job->only_count == 0;
    for (size_t k = 0; k < job->only_count; k++) {
        struct nearest near = nearest_to(job->only[k]);
        char hint[NEAREST_TEXT];
        size_t i = row_of(job->only[k]);
        for (size_t n = 0; n < COUNT; n++)
            nearest_offer(&near, rows[n].check.name);
        if (i == COUNT)
            return fail(ERR_INPUT, "there is no check %.40s%s", job->only[k], nearest_hint(&near, hint));
        r->told[i] = 1;
        for (; i < COUNT; i = rows[i].check.needs ? row_of(rows[i].check.needs) : COUNT)
            r->wanted[i] = 1;
    }
    return 0;
}

/* After a child that ended by itself or was ended. */
static enum lint_result judge(struct subject *s, const struct child_end *end)
{
    struct answer a;
    int noted = s->note->text[0] != 0;
    s->note->text[NOTE_SIZE - 1] = 0;
    if (end->fate == CHILD_DONE && end->size == sizeof a) {
        memcpy(&a, end->answer, sizeof a);
        memcpy(s->text, a.text, sizeof s->text);
        s->text[sizeof s->text - 1] = 0;
        return (unsigned)a.result < LINT_RESULTS ? a.result : LINT_CRASH;
    }
    if (end->fate == CHILD_CRASHED && end->signal == SIGXCPU)
        return verdict(s, LINT_FAIL, "it computed for %.0f s without an end and was ended%s%s",
                       ceil(s->seconds), noted ? ", " : "", s->note->text);
    return verdict(s, end->fate == CHILD_CRASHED ? LINT_CRASH : LINT_FAIL, "%s%s%s", end->text,
                   noted ? ", " : "", s->note->text);
}

static int one_check(struct run *r, size_t i)
{
    struct subject *s = &r->subject;
    struct task task = {s, &rows[i]};
    struct child_end end = {0};
    size_t needs = rows[i].check.needs ? row_of(rows[i].check.needs) : COUNT;
    double began = clock_seconds();
    s->text[0] = s->note->text[0] = 0;
    if (needs < COUNT && r->closed[needs]) {
        r->closed[i] = 1;
        r->results[i] = verdict(s, LINT_SKIP, "it needs the check %s to pass", rows[needs].check.name);
    } else {
        s->until = began + LINT_PATIENCE * s->seconds;
        TRY(child_run(&end, make_check, &task, LINT_PATIENCE * s->seconds));
        r->results[i] = judge(s, &end);
        r->closed[i] = r->results[i] >= LINT_FAIL;
        mem_free(end.answer);
    }
    const struct lint_finding finding = {&rows[i].check, r->results[i], s->text, clock_seconds() - began};
    if (r->told[i])
        r->job->found(r->job->context, &finding);
    return 0;
}

/* The file of an id, without opening any. */
static int find_file(struct plugins *plugins, const char *id, const char **path)
{
    const struct plugin_file *files;
    struct nearest near = nearest_to(id);
    char hint[NEAREST_TEXT];
    size_t count;
    TRY(plugins_files(plugins, &files, &count));
    *path = NULL;
    for (size_t i = 0; i < count; i++) {
        nearest_offer(&near, files[i].id);
        if (!strcmp(files[i].id, id)) {
            if (*path)
                return plugin_twin(*path, files[i].path, id);
            *path = files[i].path;
        }
    }
    return *path ? 0
                 : fail(ERR_INPUT, "no plugin %.64s in the %zu files of the plugin folders%s", id, count,
                        nearest_hint(&near, hint));
}

static int find_plugin(struct run *r, char *spec, char *path)
{
    struct subject *s = &r->subject;
    size_t n = strlen(spec), name = strcspn(spec, "[");
    const char *found = spec;
    if (name < n && spec[n - 1] != ']')
        return fail(ERR_INPUT,
                    "\"%.80s\": the options need the form name[option=value,...]; one plugin is judged at a "
                    "time",
                    spec);
    s->options = spec + n;
    if (name < n) {
        spec[n - 1] = spec[name] = 0;
        s->options = spec + name + 1;
    }
    s->name = spec;
    if (!strchr(spec, '/') && !(name > 3 && !strcmp(spec + name - 3, ".so")))
        TRY(find_file(r->job->plugins, spec, &found));
    if (!realpath(found, path))
        return fail(ERR_INPUT, "%.256s: there is no such plugin file", found);
    s->path = path;
    return 0;
}

static int make_all(struct run *r)
{
    int failed = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (!r->wanted[i])
            continue;
        TRY(one_check(r, i));
        failed += r->told[i] && r->results[i] >= LINT_FAIL;
    }
    return failed;
}

int lint_run(const struct lint_job *job, char *path)
{
    struct run r = {.job = job,
                    .subject = {.plugins = job->plugins, .seed = job->seed, .seconds = job->seconds}};
    char spec[SPEC_SIZE];
    if (strlen(job->plugin) >= sizeof spec)
        return fail(ERR_INPUT, "a plugin's text is longer than %d letters", SPEC_SIZE - 1);
    strcpy(spec, job->plugin);
    TRY(choose(&r));
    TRY(find_plugin(&r, spec, path));
    r.subject.note =
        mmap(NULL, sizeof *r.subject.note, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r.subject.note == MAP_FAILED)
        return fail(ERR_MEMORY, "out of memory: no page to share with child processes");
    int rc = make_all(&r);
    munmap(r.subject.note, sizeof *r.subject.note);
    return rc;
}

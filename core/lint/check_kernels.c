/* check_kernels.c - the kernels that a plugin brings: whether they are valid SPIR-V. The host reads a module
 * before it lets it in; all its rules are known to spirv-val, a program of the SPIRV-Tools. */
#include "kernels.h"

#include "error.h"
#include "lab.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MODULES_LIMIT = 64 };
static const char unknown[] = "no spirv-val";

struct modules { /* the different ones, of one recording */
    const struct custom *calls[MODULES_LIMIT];
    size_t count;
    int derive;
};

static void collect(struct modules *m, const struct tape *t)
{
    for (value v = 1; v < tape_size(t); v++) {
        const struct node *n = tape_node(t, v);
        size_t k = 0;
        if (n->op != OP_CUSTOM)
            continue;
        m->derive |= n->attr.custom.rule != 0;
        while (k < m->count && m->calls[k]->spirv != tape_call(t, n)->spirv)
            k++;
        if (k == m->count && k < MODULES_LIMIT)
            m->calls[m->count++] = tape_call(t, n);
    }
}

/* The lab must be closed also after a failure. */
static int record(struct lab *l, struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    TRY(lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    TRY(lab_declare(l, s, text, &shape));
    return lab_record(l, &(struct lab_run){.training = 1});
}

int kernels_derive(struct subject *s)
{
    struct lab l = {0};
    struct modules m = {0};
    if (record(&l, s) == 0)
        collect(&m, l.tape);
    lab_close(&l);
    return m.derive;
}

/* Starts spirv-val on the file; its words come through `from`. */
static int start(const char *file, int from[2], pid_t *pid)
{
    extern char **environ;
    char *const words[] = {
        "spirv-val", "--target-env", "vulkan1.2", "--scalar-block-layout", (char *)(uintptr_t)file, NULL};
    posix_spawn_file_actions_t actions;
    if (pipe(from) < 0)
        return fail(ERR_IO, "no pipe to spirv-val: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    posix_spawn_file_actions_adddup2(&actions, from[1], 2);
    posix_spawn_file_actions_addclose(&actions, from[0]);
    int rc = posix_spawnp(pid, words[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(from[1]);
    if (rc == 0)
        return 0;
    close(from[0]);
    return rc == ENOENT ? fail(ERR_IO, "%s", unknown)
                        : fail(ERR_IO, "spirv-val does not start: %s", strerror(rc));
}

/* The first line that spirv-val says becomes the sentence. */
static int judge_file(const char *file, const char *name)
{
    int from[2], status = 0;
    char said[400] = "", rest[256];
    size_t size = 0;
    pid_t pid;
    ssize_t n;
    TRY(start(file, from, &pid));
    while ((n = read(from[0], said + size, sizeof said - 1 - size)) > 0)
        size += (size_t)n;
    while (read(from[0], rest, sizeof rest) > 0)
        continue;
    close(from[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    said[strcspn(said, "\n")] = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return fail(ERR_IO, "%s", unknown);
    return fail(ERR_PLUGIN, "its kernel %.64s is not valid SPIR-V: %s", name, said);
}

/* In a child: the file goes with it however spirv-val ends, but for a crash of ours. */
static int judge(void *context, int answer)
{
    const struct custom *call = context;
    const char *folder = getenv("TMPDIR");
    char path[1024];
    (void)answer;
    if (snprintf(path, sizeof path, "%s/vitro_lint_XXXXXX", folder && *folder ? folder : "/tmp") >=
        (int)sizeof path)
        return fail(ERR_IO, "TMPDIR is too long a name");
    int file = mkstemp(path);
    if (file < 0)
        return fail(ERR_IO, "%s cannot be written: %s", path, strerror(errno));
    int rc = child_write(file, call->spirv, call->spirv_bytes);
    close(file);
    if (rc == 0)
        rc = judge_file(path, call->name);
    unlink(path);
    return rc;
}

static enum lint_result judge_all(struct subject *s, const struct modules *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct child_end end;
        note(s, "judging the kernel %.64s", m->calls[i]->name);
        MUST(s, subject_ask(s, &end, judge, (void *)(uintptr_t)m->calls[i]));
        if (end.fate == CHILD_REFUSED && strstr(end.text, unknown))
            return verdict(s, LINT_SKIP,
                           "spirv-val is not here (Debian's package spirv-tools), so only the "
                           "host's own look at the %zu modules was taken",
                           m->count);
        if (end.fate != CHILD_DONE)
            return verdict(s, LINT_FAIL, "%s", end.text);
    }
    return verdict(s, LINT_PASS, "%zu module%s, by spirv-val", m->count, m->count == 1 ? "" : "s");
}

enum lint_result check_kernels(struct subject *s)
{
    struct lab l = {0};
    struct modules m = {0};
    enum lint_result r;
    int rc = record(&l, s);
    if (rc == 0)
        collect(&m, l.tape);
    if (rc < 0)
        r = verdict_of_error(s);
    else if (!m.count)
        r = verdict(s, LINT_SKIP, "it brings no kernels of its own");
    else
        r = judge_all(s, &m);
    lab_close(&l);
    return r;
}

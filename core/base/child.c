/* child.c - see child.h. Two pipes lead back: one for the answer, one for the code and the sentence. */
#include "child.h"

#include "clock.h"
#include "error.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_LIMIT = 16 << 20, FIRST_ROOM = 4096 };

struct verdict { /* what the child says last */
    int code;
    char text[512];
};

struct reading {         /* the parent's side */
    int answer, verdict; /* file descriptors; -1: at its end */
    char *bytes;
    size_t size, room;
    struct verdict said;
    size_t said_size;
};

int child_write(int answer, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size) {
        ssize_t n = write(answer, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(ERR_IO, "a child's answer cannot be written: %s", strerror(errno));
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

/* A group of its own, so that what the work starts ends with it; no output, no core file. */
static void be_quiet(void)
{
    int nowhere = open("/dev/null", O_RDWR);
    struct rlimit none = {0, 0};
    setpgid(0, 0);
    setrlimit(RLIMIT_CORE, &none);
    for (int fd = 0; fd <= 2 && nowhere >= 0; fd++)
        dup2(nowhere, fd);
    signal(SIGPIPE, SIG_IGN); /* the parent may have given up */
}

static _Noreturn void live(int (*work)(void *, int), void *context, const int answer[2], const int verdict[2])
{
    struct verdict said = {0};
    close(answer[0]);
    close(verdict[0]);
    be_quiet();
    said.code = work(context, answer[1]);
    if (said.code < 0)
        snprintf(said.text, sizeof said.text, "%s", error_text());
    child_write(verdict[1], &said, sizeof said);
    _exit(0); /* no exit handlers: they are the parent's */
}

static int room_for_more(struct reading *r)
{
    if (r->room - r->size > FIRST_ROOM / 2)
        return 0;
    size_t room = r->room ? 2 * r->room : FIRST_ROOM;
    char *grown = r->size < ANSWER_LIMIT ? mem_grow(r->bytes, r->room, room, 1) : NULL;
    if (!grown)
        return ERR_MEMORY;
    r->bytes = grown;
    r->room = room;
    return 0;
}

/* Takes what is there from one of the pipes; at its end closes it. */
static int take(int *fd, void *to, size_t room, size_t *taken)
{
    ssize_t n = read(*fd, to, room);
    *taken = n > 0 ? (size_t)n : 0;
    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0) {
        close(*fd);
        *fd = -1;
    }
    return 0;
}

/* Reads both pipes until their ends or the time is over: 1 the ends, 0 the time. */
static int read_all(struct reading *r, double until)
{
    while (r->answer >= 0 || r->verdict >= 0) {
        struct pollfd watch[2] = {{.fd = r->answer, .events = POLLIN}, {.fd = r->verdict, .events = POLLIN}};
        double left = until - clock_seconds();
        size_t taken;
        char rest[64];
        if (left <= 0)
            return 0;
        if (poll(watch, 2, (int)(left * 1000) + 1) < 0 && errno != EINTR)
            return fail(ERR_IO, "a child process cannot be watched: %s", strerror(errno));
        if (watch[0].revents) {
            TRY(room_for_more(r));
            TRY(take(&r->answer, r->bytes + r->size, r->room - r->size - 1, &taken));
            r->size += taken;
        }
        if (watch[1].revents && r->said_size < sizeof r->said) {
            TRY(take(&r->verdict, (char *)&r->said + r->said_size, sizeof r->said - r->said_size, &taken));
            r->said_size += taken;
        } else if (watch[1].revents) {
            TRY(take(&r->verdict, rest, sizeof rest, &taken));
        }
    }
    return 1;
}

static void judge(struct child_end *end, struct reading *r, int in_time, int status, double seconds)
{
    end->code = ERR_PLUGIN;
    if (!in_time) {
        end->fate = CHILD_HUNG;
        snprintf(end->text, sizeof end->text, "it was not done after %g s and was ended", seconds);
    } else if (WIFSIGNALED(status)) {
        end->fate = CHILD_CRASHED;
        end->signal = WTERMSIG(status);
        snprintf(end->text, sizeof end->text, "it crashed: %s (signal %d)", strsignal(WTERMSIG(status)),
                 WTERMSIG(status));
    } else if (WEXITSTATUS(status) || r->said_size < sizeof r->said) {
        end->fate = CHILD_CRASHED;
        snprintf(end->text, sizeof end->text, "it ended the process with status %d", WEXITSTATUS(status));
    } else {
        end->code = r->said.code;
        end->fate = r->said.code < 0 ? CHILD_REFUSED : CHILD_DONE;
        r->said.text[sizeof r->said.text - 1] = 0;
        memcpy(end->text, r->said.text, sizeof end->text);
    }
    if (end->fate == CHILD_DONE && r->bytes) {
        end->answer = r->bytes; /* zeroed behind what was read */
        end->size = r->size;
        r->bytes = NULL;
    }
}

static int follow(struct child_end *end, pid_t child, struct reading *r, double seconds)
{
    int status = 0;
    siginfo_t info;
    int in_time = read_all(r, clock_seconds() + seconds);
    if (in_time <= 0)
        kill(child, SIGKILL);
    while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
    kill(-child, SIGKILL); /* what it may have started; until it is reaped, the number is its own */
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (in_time >= 0)
        judge(end, r, in_time, status, seconds);
    if (r->answer >= 0)
        close(r->answer);
    if (r->verdict >= 0)
        close(r->verdict);
    mem_free(r->bytes);
    return in_time < 0 ? in_time : 0;
}

int child_run(struct child_end *end, int (*work)(void *context, int answer), void *context, double seconds)
{
    int answer[2], verdict[2];
    *end = (struct child_end){0};
    if (pipe(answer) < 0)
        return fail(ERR_IO, "no pipe to a child process: %s", strerror(errno));
    if (pipe(verdict) < 0) {
        close(answer[0]), close(answer[1]);
        return fail(ERR_IO, "no pipe to a child process: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child == 0)
        live(work, context, answer, verdict);
    close(answer[1]), close(verdict[1]);
    if (child < 0) {
        close(answer[0]), close(verdict[0]);
        return fail(ERR_IO, "no child process can be had: %s", strerror(errno));
    }
    struct reading r = {.answer = answer[0], .verdict = verdict[0]};
    return follow(end, child, &r, seconds);
}

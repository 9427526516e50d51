/* error.h - how a refusal travels: a negative code on the way up, one sentence beside it.
 *
 * The sentence lives in a buffer of the calling thread, set where the failure is understood:
 * subject, number, remedy. The library never prints; the driver shows error_text(). */
#ifndef VITRO_BASE_ERROR_H
#define VITRO_BASE_ERROR_H

/* code, the program's exit status, what it stands for */
#define ERROR_CODES(X)                                                  \
    X(MEMORY, 3, "out of host memory")                                  \
    X(DEVICE, 4, "no device, device lost or out of device memory")      \
    X(INPUT, 5, "bad input: file, image, weights, option, list")        \
    X(PLUGIN, 6, "a plugin was refused or failed")                      \
    X(IO, 7, "a file could not be read or written")                     \
    X(DIVERGED, 8, "the loss became infinite or not a number")          \
    X(STOPPED, 9, "stopped on request; what was done is kept")           \
    X(LOST, 10, "the device was lost while it worked")

enum error_code {
    ERR_NONE = 0,
#define X(id, status, text) ERR_##id = -(status),
    ERROR_CODES(X)
#undef X
};

/* Records the sentence and returns `code`. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the recorded sentence and returns `code`: a caller adds what it knows. */
int fail_in(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The last sentence recorded on this thread; valid until the next fail. */
const char *error_text(void);

/* Forward a negative result: out of the function, or to its label `out` with `rc` set. */
#define TRY(expr)                \
    do {                         \
        int try_rc_ = (expr);    \
        if (try_rc_ < 0)         \
            return try_rc_;      \
    } while (0)
#define TRY_OUT(expr)            \
    do {                         \
        rc = (expr);             \
        if (rc < 0)              \
            goto out;            \
    } while (0)

#endif

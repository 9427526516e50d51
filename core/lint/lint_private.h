/* lint_private.h - what the checks share: what they judge, how they say it, and the list of them. */
#ifndef VITRO_LINT_LINT_PRIVATE_H
#define VITRO_LINT_LINT_PRIVATE_H

#include "child.h"
#include "lint.h"

/* function (and name), what it proves, which check must not have failed before */
#define LINT_CHECKS(X)                                                                                     \
    X(symbols, "it exports vitro_plugin and nothing else", NULL)                                           \
    X(links, "it needs no library but the C library", NULL)                                                \
    X(load, "opening it neither crashes nor hangs, and vitro_plugin is there", NULL)                       \
    X(scan, "opening it takes less than 100 ms", "load")                                                   \
    X(version, "its version, its sizes and its mandatory slots are ones this host reads", "load")          \
    X(card, "id, version, summary and paper are there", "version")                                         \
    X(options, "each option has a name, a help, a sane range, and a default and a grid within", "version") \
    X(declare, "it declares against models of several widths", "options")                                  \
    X(trace, "its forward, backward, penalty and merge can be recorded", "declare")                        \
    X(quiet, "it prints nothing", "trace")                                                                 \
    X(memory, "it writes into its own instance only", "trace")                                             \
    X(repeat, "it declares and records the same every time", "memory")                                     \
    X(instances, "two instances do not know of each other, and globals stay as they are", "repeat")        \
    X(sets, "whatever its options are set to, it works or refuses with a sentence", "repeat")              \
    X(count, "the parameters it declares are as many as param_count says", "repeat")                       \
    X(finish, "an instance can end at any stage", "repeat")                                                \
    X(leaks, "an instance that ends leaves nothing behind", "finish")                                      \
    X(shapes, "it works for one image, for odd token counts, and with prompts in front", "repeat")         \
    X(faults, "when an operation fails it goes on calmly, whichever that is", "repeat")                    \
    X(batch, "the logits of an image do not depend on its batch", "repeat")                                \
    X(training, "what it does around training is finite, and the same from the same seed", "repeat")       \
    X(start, "how far from the backbone training starts (no requirement)", "training")                     \
    X(differences, "the derivatives that follow from its forward are central differences", "repeat")       \
    X(backward, "its own backward is the derivative of its forward", "repeat")                             \
    X(merge, "merged weights give the logits of the hooked network", "repeat")                             \
    X(interpolate, "alpha 0 is the backbone and alpha 1 the tuned model", "repeat")                        \
    X(save, "what is saved and read back gives the same logits", "repeat")                                 \
    X(kernels, "the kernels it ships are valid SPIR-V", "repeat")                                          \
    X(copy, "it is no copy of another method that is installed", "repeat")

enum { PATH_SIZE_MAX = 4096, SPEC_SIZE = 4096, TEXT_SIZE = 640, NOTE_SIZE = 256 };

struct note { /* shared with the parent: what is going on, for the sentence when it ends the process */
    char text[NOTE_SIZE];
};

struct subject { /* what a check judges */
    struct plugins *plugins;
    const char *name;    /* "lora" or a path */
    const char *options; /* "r=8" or "" */
    const char *path;    /* of the file, without links */
    uint64_t seed;
    double until;   /* by clock_seconds: when the check must be done */
    double seconds; /* that it may compute */
    struct note *note;
    char text[TEXT_SIZE]; /* the sentence */
};

typedef enum lint_result lint_function(struct subject *s);
#define X(name, proves, needs) lint_function check_##name;
LINT_CHECKS(X)
#undef X

/* Writes the sentence and returns `result`. */
enum lint_result verdict(struct subject *s, enum lint_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* LINT_FAIL with the sentence of the last error. */
enum lint_result verdict_of_error(struct subject *s);
/* What is done from here on: "while tracing lora[r=8]". */
void note(struct subject *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs work(context, answer) in a child of its own, with the time that is left; see child_run. */
int subject_ask(const struct subject *s, struct child_end *end, int (*work)(void *context, int answer),
                void *context);

/* Forward a negative code as a verdict. */
#define MUST(s, expr)                   \
    do {                                \
        if ((expr) < 0)                 \
            return verdict_of_error(s); \
    } while (0)

#endif

/* driver.h - the `vitro` program: what its verbs share. Results go to stdout, messages to stderr as
 * "vitro: sentence"; only this folder prints and exits. */
#ifndef VITRO_DRIVER_DRIVER_H
#define VITRO_DRIVER_DRIVER_H

#include "activation.h"
#include "arguments.h"
#include "error.h"
#include "recipe.h"

#include <stdint.h>

/* Exit statuses beside those of ERROR_CODES, as negative codes like them. */
enum { ERR_CHECK = -1, ERR_USAGE = -2 };

/* Every option of every verb; a verb's tables say which of them it knows. Texts are lent by argv. */
struct settings {
    int help, json, verbose;
    int32_t device;
    int validate;
    struct argument_list plugin_path;
    const char *directory;
    const char *model, *method, *data, *normalise, *load, *save, *output, *classes, *task;
    const char *head, *templates, *tokenizer; /* of CLIP's zero-shot heads */
    int random;                               /* random weights in the model's shape */
    const uint64_t *random_seed;              /* which; NULL: the recipe's seed */
    int other_data;                           /* evaluate on data other than a method was trained on */
    int32_t image, heads, act, top, size, training_split; /* act: index into vit_activations */
    const char *corrupt;                                  /* "fog:3": the data, corrupted */
    uint64_t corrupt_seed;
    int32_t eval_precision;     /* 0: as trained; else 1 + enum number */
    const char *shifts, *probe; /* robust, wise */
    const char *like, *map;     /* pack */
    const char *peft, *base;    /* export: a folder; what the adapter is for */
    int32_t names;              /* export, merge: whose; an enum peft_names */
    int32_t shots, most[3];     /* most: of train, val, test */
    int32_t alphas, way_head;
    const char *checkpoint;
    int32_t checkpoint_steps;
    int32_t feature_cache; /* MiB; train_spec's */
    const char *tuning;    /* a file, or "off" */
    int tuning_kept;       /* it is a study's: another device does without */
    const char *filter;
    int32_t repeats;
    struct argument_list checks;
    int list;
    float timeout;   /* seconds */
    float tolerance; /* of a logit, by merging */
    const char *tasks, *methods, *sheet;
    const char *store, *again, *backbone; /* of studies */
    int final, replace, retry, csv, latex;
    struct argument_list beside; /* further trials of `train` */
    const char *packed; /* "auto", or how many trials share a command buffer */
    int32_t jobs, replicates, trials, seeds;
    int32_t dim, depth, hidden, patch, images;
    int inference; /* of profiles */
    int32_t by, steps, outputs;
    const char *trace;
    int memory, checkpoint_activations;
    int32_t device_memory; /* MiB at most; 0: all */
    struct recipe recipe;
    const char *const *rest; /* what is no option, in order */
    int rest_count;
};
void settings_init(struct settings *s);

struct verb {
    const char *name, *summary;                 /* the summary is a row of `vitro --help` */
    const char *synopsis;                       /* what follows "vitro NAME" */
    const char *about;                          /* one paragraph */
    const char *examples[5];                    /* ended by NULL */
    const struct argument_group *const *groups; /* ended by NULL */
    int rest_least, rest_most;          /* how many arguments that are no options; most -1: any number */
    const char *rest_name;              /* what they are: "IMAGE" */
    void (*preset)(struct settings *s); /* NULL, or sets defaults of its own */
    int (*run)(const struct settings *s);
};

/* In the order of `vitro --help`; one file each, verb_<name>.c */
#define VERBS(X) \
    X(devices)   \
    X(plugins)   \
    X(lint)      \
    X(selftest)  \
    X(tune)      \
    X(profile)   \
    X(tasks)     \
    X(pack)      \
    X(model)     \
    X(db)        \
    X(train)     \
    X(eval)      \
    X(predict)   \
    X(merge)     \
    X(import)    \
    X(zeroshot)  \
    X(pretrain)  \
    X(study)     \
    X(compare)   \
    X(agree)     \
    X(ensemble)  \
    X(report)    \
    X(robust)    \
    X(wise)      \
    X(export)    \
    X(show)      \
    X(diff)      \
    X(repro)     \
    X(demo)      \
    X(trial)     \
    X(version)
#define X(name) extern const struct verb verb_##name;
VERBS(X)
#undef X
extern const struct verb *const verbs[]; /* ended by NULL */

/* Groups of options that several verbs know (settings.c) */
extern const struct argument_group group_general, group_json, group_machine, group_plugins, group_model,
    group_data, group_recipe, group_store;
extern const char *const training_splits[];

/* help.c */
void help_program(void);
void help_verb(const struct verb *v);
void print_wrapped(const char *text, int column, int indent); /* to 78 columns; the cursor is at `column` */

/* "vitro: sentence" on stderr, one line whatever it holds. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Writes the number to text as briefly as reads back the same float; returns text. */
enum { NUMBER_TEXT = 32 };
const char *float_text(float number, char text[NUMBER_TEXT]);

#endif

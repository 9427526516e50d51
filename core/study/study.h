/* study.h - a study: which method stacks are compared on which packs and backbones, how each is tuned, with what
 * budget. It is read from a recipe (JSON), resolved against what is on this machine, and kept resolved beside its
 * results, so that analysing it needs neither weights nor data nor plugins. */
#ifndef VITRO_STUDY_STUDY_H
#define VITRO_STUDY_STUDY_H

#include "hash.h"
#include "json.h"
#include "memory.h"
#include "recipe.h"

#include <stddef.h>
#include <stdint.h>

enum { STUDY_NAME = 64 };

struct study_backbone {
    const char *name, *model; /* a path, or "bundled"; the path is absolute once resolved, as the head's is */
    int32_t head_classes;     /* resolved: of that head; 0: a new one fits any data */
    const char *head;         /* a file of it to begin with (vit/head_file.h); NULL: a new one */
    int32_t heads;            /* 0: the file's own */
    int32_t act;              /* index into vit_activations; 0: the file's own */
    int random;               /* random weights in its shape */
    const char *sha256;       /* resolved: of the weights, the head's with them */
};

struct study_pack {
    const char *name, *data, *normalise, *group; /* as in the recipe; NULL: not said */
    int32_t image;                               /* side; 0: the pack's, or else the first backbone's */
    const char *file;                            /* resolved, as are all that follow: the prepared pack */
    const char *task, *fingerprint, *split[3];   /* fingerprints of train, val, test */
    int32_t classes, size;
    uint32_t count[3];
};

enum axis_kind { AXIS_LIST, AXIS_UNIFORM, AXIS_LOG_UNIFORM };
struct study_axis {   /* one thing that tuning chooses */
    const char *name; /* "lr", "decay" ... of the training, or an option: "r", in a stack "lora.r" */
    int32_t part;     /* of the stack that has the option; -1: of the training */
    enum axis_kind kind;
    const char **values; /* LIST: as they are written */
    uint32_t count;
    double low, high;
};

struct study_setting {
    const char *name, *value;
};
struct study_part { /* one plugin of a stack; resolved */
    const char *plugin, *path, *sha256;
    struct study_setting *options; /* every one, in the plugin's order */
    uint32_t count;
};
struct study_method {
    const char *name, *text;   /* as in the recipe */
    const struct json *search; /* the recipe's own axes of it, or NULL */
    const char *
        plain; /* resolved: the stack with what the recipe fixes at other values than the defaults: what the ledger
                          calls it, whatever its name */
    struct study_part *parts; /* resolved, as are those that follow */
    uint32_t part_count;
    struct study_axis *axes;
    uint32_t axis_count;
    const char **
        points; /* [point_count][axis_count]: what tuning starts from, as it was drawn when the study began */
    uint32_t point_count;
};

enum tune_strategy { TUNE_NONE, TUNE_GRID, TUNE_RANDOM, TUNE_HALVING, TUNE_COUNT };
extern const char *const tune_strategies[]; /* names, ended by NULL */
struct study_tune {
    int32_t strategy;
    uint32_t trials; /* a (method, pack): the budget; 0: all of a grid, or until `seconds` are spent */
    double seconds;  /* of training a (method, pack); 0: not limited by time */
    uint64_t seed;   /* of what is drawn, and of the trials' own training */
    int32_t eta;     /* halving keeps one of eta */
    int32_t rungs;   /* of halving */
};

struct study_shift {  /* what finals are judged on besides test */
    const char *name; /* of a data set; of corruptions, their text */
    const char *data; /* NULL: corruptions, as `vitro robust --shifts` takes them */
};

enum { STUDY_ALPHAS = 11 };
struct study_wise { /* the way from the backbone to the trained model, after the finals */
    int wanted;
    int32_t alphas; /* from 0 to 1 */
    int32_t head;   /* enum way_head */
};

struct study {
    struct arena arena;    /* owns all texts and arrays */
    struct json *document; /* the recipe in canonical form */
    char hash[HASH_TEXT];  /* SHA-256 of its text */
    const char *name, *about;
    struct study_backbone *backbones;
    struct study_pack *packs;
    struct study_method *methods;
    uint64_t *seeds;
    uint32_t backbone_count, pack_count, method_count, seed_count;
    struct study_shift *shifts; /* may be none */
    uint32_t shift_count;
    struct study_wise wise;
    struct study_tune tune;
    struct recipe training;
    int32_t refit_trainval;              /* the chosen configuration trains on train and val; else on train */
    const struct json *search;           /* the recipe's axes for every method, or NULL */
    double trial_seconds, stall_seconds; /* limits of a trial; 0: none */
    uint64_t memory_bytes;
    int resolved;
};

/* Reads a recipe; refuses what it does not know with the nearest name. Nothing is opened yet. */
int study_read(struct study **out, const char *path);
int study_parse(struct study **out, const struct json *recipe, const char *what);
void study_destroy(struct study *s); /* NULL is fine */

/* A resolved study as JSON (docs/store.md), and back. */
int study_save(const struct study *s, const char *path);
int study_load(struct study **out, const char *path);

#endif

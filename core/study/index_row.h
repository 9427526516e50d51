/* index_row.h - what the index holds of a result: its columns, and a result's values for them. */
#ifndef VITRO_STUDY_INDEX_ROW_H
#define VITRO_STUDY_INDEX_ROW_H

#include "json.h"

/* column, SQLite's type, whether run.json has it (else result.json), and where it is there. The seed has no type,
 * because one that needs 64 bits is kept as a text; ids compare as texts. */
#define INDEX_COLUMNS(X)                            \
    X(id, "TEXT PRIMARY KEY NOT NULL", 0, "id")     \
    X(stage, "TEXT", 0, "spec.stage")               \
    X(outcome, "TEXT", 0, "outcome")                \
    X(reason, "TEXT", 0, "reason")                  \
    X(study, "TEXT", 1, "study")                    \
    X(name, "TEXT", 0, "spec.name")                 \
    X(method, "TEXT", 0, "spec.method")             \
    X(pack, "TEXT", 0, "spec.pack.name")            \
    X(task, "TEXT", 0, "spec.pack.task")            \
    X(backbone, "TEXT", 0, "spec.backbone.name")    \
    X(split, "TEXT", 0, "spec.split")               \
    X(seed, "", 0, "spec.training.seed")            \
    X(lr, "REAL", 0, "spec.training.lr")            \
    X(decay, "REAL", 0, "spec.training.decay")      \
    X(epochs, "INTEGER", 0, "spec.training.epochs") \
    X(accuracy, "REAL", 0, "accuracy")              \
    X(nll, "REAL", 0, "nll")                        \
    X(parameters, "INTEGER", 0, "parameters")       \
    X(seconds, "REAL", 1, "seconds")                \
    X(host_bytes, "INTEGER", 1, "host_bytes")       \
    X(device_bytes, "INTEGER", 1, "device_bytes")   \
    X(device, "TEXT", 1, "device")                  \
    X(began, "TEXT", 1, "began")

enum index_column {
#define X(name, type, run, path) INDEX_##name,
    INDEX_COLUMNS(X)
#undef X
        INDEX_COLUMN_COUNT
};

enum index_kind { INDEX_NOTHING, INDEX_WHOLE, INDEX_REAL, INDEX_TEXT };
struct index_value {
    enum index_kind kind;
    int64_t whole;
    double real;
    const char *text; /* lent by the document */
};

/* Refuses what is no result of a kind that this program knows; what is merely missing becomes INDEX_NOTHING. */
int index_row_read(struct index_value row[INDEX_COLUMN_COUNT], const struct json *result,
                   const struct json *run);

/* Calls `visit` with every folder/XX/ID/result.json that is a result of that ID and the run.json beside it, if any;
 * the others are counted. Stops at the first negative code of `visit` and returns it; else how many it was called
 * for. A folder that is not there holds none. */
int index_visit(const char *folder, int (*visit)(void *context, const struct index_value *row), void *context,
                int *bad);

#endif

/* arguments.h - a command line read by tables: each option is a row that says where its value goes, which
 * values it may have and what it means; parsing and help come from the same rows. */
#ifndef VITRO_DRIVER_ARGUMENTS_H
#define VITRO_DRIVER_ARGUMENTS_H

#include <stddef.h>

enum argument_kind {
    ARGUMENT_FLAG,   /* int, set to 1; takes no value */
    ARGUMENT_WHOLE,  /* int32_t between low and high */
    ARGUMENT_REAL,   /* float between low and high */
    ARGUMENT_SEED,   /* uint64_t */
    ARGUMENT_TEXT,   /* const char *, lent by argv */
    ARGUMENT_CHOICE, /* int32_t, index into choices */
    ARGUMENT_LIST,   /* struct argument_list: may be given several times */
};

enum { ARGUMENT_LIST_MAX = 16 };
struct argument_list {
    const char *items[ARGUMENT_LIST_MAX]; /* lent by argv */
    int count;
};

struct argument {
    const char *name; /* without the dashes; '_' is written '-' */
    char letter;      /* short form, or 0 */
    enum argument_kind kind;
    size_t offset; /* of the value in the caller's struct */
    double low, high;
    const char *const *choices; /* ended by NULL */
    const char *value;          /* how help calls it: "FILE" */
    const char *help;
};

struct argument_group {
    const char *title;
    const struct argument *rows; /* ended by a NULL name */
};

struct argument_rest {  /* what is no option */
    const char **items; /* room for all of argv */
    int count;
};

/* Reads argv[0 .. count - 1] into `out`. Refusals are sentences with ERR_USAGE's code, given as `code`. */
int arguments_read(const struct argument_group *const *groups, int count, char **argv, void *out,
                   struct argument_rest *rest, int code);

/* The option's name as it is typed, "--drop-path", into text; returns text. */
enum { ARGUMENT_TEXT_SIZE = 48 };
const char *argument_name(const struct argument *a, char text[ARGUMENT_TEXT_SIZE]);

#endif

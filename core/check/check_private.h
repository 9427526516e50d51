/* check_private.h - a case: a little tape with random inputs, and what of it is compared. */
#ifndef VITRO_CHECK_PRIVATE_H
#define VITRO_CHECK_PRIVATE_H

#include "check.h"
#include "number.h"
#include "tape.h"

enum { CHECK_LEAVES = 8, CHECK_OUTPUTS = 6 };

struct check_leaf {
    value leaf;
    double low, high; /* infinite: normal numbers; whole and more than 2 apart: whole numbers below high */
};

struct check_net {
    struct tape *tape;
    enum number number, inputs; /* of the run's products; what inputs are rounded to */
    struct check_leaf leaves[CHECK_LEAVES];
    uint32_t leaf_count;
    value outputs[CHECK_OUTPUTS];
    uint32_t output_count;
};
value check_input(struct check_net *n, struct shape s);
value check_ranged(struct check_net *n, struct shape s, double low, double high);
void check_output(struct check_net *n, value v);

struct check_case {
    const char *name;
    double tolerance;
    void (*trace)(struct check_net *n);
};
extern const struct check_case check_cases[]; /* ended by a NULL name */

struct engine;
struct bank;
struct check_walk { /* over cases that are not of that table */
    struct engine *engine;
    struct bank *bank;
    const char *filter;
    int repeats, failed;
    void (*report)(void *context, const struct check_result *result);
    void *context;
};
/* Runs a traced net on the device and in double; the errors go to *result. */
int check_run(struct check_net *n, struct bank *bank, int repeats, struct check_result *result);

#endif

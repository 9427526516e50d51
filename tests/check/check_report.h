/* check_report.h - says what a check of core/check found wrong, and counts what it ran in an int, the context. */
#ifndef VITRO_TESTS_CHECK_REPORT_H
#define VITRO_TESTS_CHECK_REPORT_H

#include "../run/device_world.h"
#include "check.h"

static inline void report(void *context, const struct check_result *r)
{
    int *seen = context;
    ++*seen;
    if (r->rc < 0)
        print_error("%-48s %s\n", r->name, error_text());
    else if (!r->passed)
        print_error("%-48s error %.2g above %.2g\n", r->name, r->error, r->tolerance);
}

#endif

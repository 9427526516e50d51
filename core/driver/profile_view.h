/* profile_view.h - a profile as rows of a table. */
#ifndef VITRO_DRIVER_PROFILE_VIEW_H
#define VITRO_DRIVER_PROFILE_VIEW_H

#include "ceiling.h"
#include "json.h"
#include "profile.h"

enum profile_by { BY_KERNEL, BY_OP, BY_SITE, BY_PLACE, BY_METHOD };
extern const char *const profile_bys[]; /* names, ended by NULL */

/* Appends a row for each group, the longest first: name, phase (but of kernels), count, seconds, share, gflops,
 * gbytes, ceiling. From `top` rows on they are summed up as others. */
int profile_rows(struct json *rows, const struct profile *p, const struct ceiling *c, enum profile_by by,
                 int top);

#endif

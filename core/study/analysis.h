/* analysis.h - a panel turned into one JSON document, which `compare`, `agree`, `ensemble`, `export` and the report
 * all print from. docs/analysis.md says what each member holds and how it is computed. */
#ifndef VITRO_STUDY_ANALYSIS_H
#define VITRO_STUDY_ANALYSIS_H

#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "panel.h"

struct analysis_options {
    size_t replicates;      /* of the bootstrap */
    uint64_t seed;          /* of the bootstrap */
    double level;           /* of the intervals, 0.95 */
    uint32_t ensemble_most; /* methods in the greedy ensemble at most */
    const char *version,
        *created; /* of this program, and now in ISO 8601: only copied, so that the same panel gives
                                    * the same document; NULL is null */
};
extern const struct analysis_options analysis_default;

/* The whole document; the caller destroys it. Cells that are missing are listed with their reason and
 * leave every mean that would need them. */
int analysis_build(struct json **out, const struct panel *panel, const struct analysis_options *options);

#endif

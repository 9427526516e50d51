/* document.h - numbers of an analysis document by their path, for tests: number_at(d, "accuracy.cells.0.1.mean"). */
#ifndef VITRO_TESTS_STUDY_DOCUMENT_H
#define VITRO_TESTS_STUDY_DOCUMENT_H

#include "analysis.h"
#include "error.h"
#include "panel_maker.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline const struct json *value_at(const struct json *document, const char *path)
{
    char step[64];
    const struct json *j = document;
    while (*path && j) {
        size_t n = strcspn(path, ".");
        snprintf(step, sizeof step, "%.*s", (int)n, path);
        path += n + (path[n] == '.');
        if (json_is_array(j)) {
            j = json_first(j);
            for (long i = strtol(step, NULL, 10); j && i > 0; i--)
                j = json_next(j);
        } else {
            j = json_get(j, step);
        }
    }
    return j;
}

/* NaN is null; a path that does not exist fails the test */
static inline double number_at(const struct json *document, const char *path)
{
    double value = NAN;
    const struct json *j = value_at(document, path);
    if (!j)
        fail_msg("the document has no %s", path);
    return json_number(j, &value) == 0 ? value : NAN;
}

static inline void assert_there(const struct json *document, const char *path)
{
    if (isnan(number_at(document, path)))
        fail_msg("%s is null", path);
}

static inline const char *text_at(const struct json *document, const char *path)
{
    return json_string(value_at(document, path));
}

static inline void assert_number(const struct json *document, const char *path, double expected)
{
    double value = number_at(document, path);
    if (!(fabs(value - expected) < 1e-9))
        fail_msg("%s is %.12g, not %.12g", path, value, expected);
}

static inline void assert_absent(const struct json *document, const char *path)
{
    double value = number_at(document, path);
    if (!isnan(value) || json_string(value_at(document, path)))
        fail_msg("%s is %.12g, not null", path, value);
}

static inline int flagged(const struct json *document, const char *part)
{
    const struct json *flag = json_first(value_at(document, "flags"));
    while (flag && !strstr(json_string(flag), part))
        flag = json_next(flag);
    return flag != NULL;
}

static inline int badge_is_ok(const struct json *document, const char *id)
{
    int ok = -1;
    for (const struct json *b = json_first(value_at(document, "badges")); b; b = json_next(b))
        if (strcmp(json_string(json_get(b, "id")), id) == 0)
            json_bool(json_get(b, "ok"), &ok);
    return ok;
}

static inline struct json *analysed(const struct made_panel *made)
{
    struct json *document = NULL;
    struct analysis_options options = analysis_default;
    options.replicates = 600; /* enough for what is planted, and soon done */
    if (analysis_build(&document, &made->panel, &options) < 0)
        fail_msg("%s", error_text());
    return document;
}

/* Logits of which the largest is `margin` above the others, which are 0. */
static inline void answer_with(struct made_panel *made, const float **logits, int32_t classes,
                               uint32_t images, const int32_t *answers, float margin)
{
    float *z = arena_alloc(&made->memory, images * (size_t)classes, sizeof *z);
    for (uint32_t i = 0; i < images; i++)
        z[i * (size_t)classes + (size_t)answers[i]] = margin;
    *logits = z;
}

#endif

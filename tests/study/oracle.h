/* oracle.h - golden documents of tests/reference/golden, and how near a result must be to what they say. */
#ifndef ORACLE_H
#define ORACLE_H

#include "error.h"
#include "json.h"
#include "memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct json *golden;

/* For a group's setup: the document `name`. */
static inline int golden_open(const char *name)
{
    char path[1024] = GOLDEN "/";
    strcat(path, name);
    return json_read_file(&golden, path);
}

static inline int golden_close(void **state)
{
    (void)state;
    json_destroy(golden);
    return 0;
}

static inline const struct json *member(const struct json *object, const char *key)
{
    const struct json *found = json_get(object, key);
    assert_non_null(found);
    return found;
}

static inline double number(const struct json *j)
{
    double value = 0;
    assert_int_equal(json_number(j, &value), 0);
    return value;
}

static inline double number_of(const struct json *object, const char *key)
{
    return number(member(object, key));
}

/* The numbers of a list, or of a list of lists, row by row; the caller frees them with mem_free. */
static inline double *numbers(const struct json *list, size_t *count)
{
    size_t total = 0, at = 0;
    for (const struct json *j = json_first(list); j; j = json_next(j))
        total += json_is_array(j) ? json_count(j) : 1;
    double *values = mem_alloc(total, sizeof *values);
    assert_non_null(values);
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        if (!json_is_array(j))
            values[at++] = number(j);
        else
            for (const struct json *k = json_first(j); k; k = json_next(k))
                values[at++] = number(k);
    }
    *count = total;
    return values;
}

static inline double *numbers_of(const struct json *object, const char *key, size_t *count)
{
    return numbers(member(object, key), count);
}

static inline int32_t *integers_of(const struct json *object, const char *key, size_t *count)
{
    double *values = numbers_of(object, key, count);
    int32_t *out = mem_alloc(*count, sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < *count; i++)
        out[i] = (int32_t)values[i];
    mem_free(values);
    return out;
}

/* The largest deviation that `near` let pass, for a group to show at its end. */
static double worst;

/* Fails unless the two differ by at most `tolerance` of the expected value, or of `scale` where that is larger:
 * 0 for a probability that may be tiny, 1 for what is a difference of numbers of size 1. */
static inline void near_at(double actual, double expected, double scale, double tolerance, const char *file,
                           int line)
{
    double size = fmax(fabs(expected), scale);
    double deviation = actual == expected ? 0 : fabs(actual - expected) / size;
    if (!(deviation <= tolerance)) {
        print_error("%.17g is not %.17g: off by %.3g, %.3g allowed\n", actual, expected, deviation,
                    tolerance);
        _fail(file, line);
    }
    worst = fmax(worst, deviation);
}
#define assert_near(actual, expected, scale, tolerance) \
    near_at(actual, expected, scale, tolerance, __FILE__, __LINE__)

static inline int golden_close_and_tell(void **state)
{
    print_message("[          ] largest deviation from the reference: %.1e\n", worst);
    return golden_close(state);
}

#endif

/* verb_diff.c - `vitro diff ID ID`: what two results' trials have in common, and how their answers differ. */
#include "memory.h"
#include "result_source.h"
#include "session.h"
#include "stats.h"
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct column columns[] = {
    {"key", "differs", FORM_TEXT}, {"one", "one", FORM_TEXT}, {"other", "other", FORM_TEXT}, {0}};
static const struct column card[] = {{"images", "images", FORM_WHOLE},
                                     {"one", "accuracy of one", FORM_PERCENT},
                                     {"other", "accuracy of the other", FORM_PERCENT},
                                     {"same_label", "same label", FORM_PERCENT},
                                     {"only_one", "only one is right", FORM_WHOLE},
                                     {"only_other", "only the other is right", FORM_WHOLE},
                                     {"mcnemar", "McNemar's p", FORM_BRIEF},
                                     {"largest", "largest difference of a logit", FORM_ERROR},
                                     {0}};

static int add_row(struct json *rows, const char *key, const struct json *one, const struct json *other)
{
    char *a = one ? json_text(one, 0) : mem_string("-"), *b = other ? json_text(other, 0) : mem_string("-");
    struct json *row = json_append_object(rows);
    int rc = a && b ? json_set_string(row, "key", key) : ERR_MEMORY;
    if (rc == 0)
        rc = json_set_string(row, "one", a);
    if (rc == 0)
        rc = json_set_string(row, "other", b);
    mem_free(a);
    mem_free(b);
    return rc;
}

static int same(const struct json *one, const struct json *other)
{
    char *a = one ? json_canonical(one) : NULL, *b = other ? json_canonical(other) : NULL;
    int equal = a && b ? strcmp(a, b) == 0 : !one && !other;
    mem_free(a);
    mem_free(b);
    return equal;
}

/* Every member in which the two objects differ, by its path. */
static int compare(struct json *rows, const char *path, const struct json *one, const struct json *other)
{
    char key[256];
    for (const struct json *a = json_first(one); a; a = json_next(a)) {
        const struct json *b = json_get(other, json_key(a));
        snprintf(key, sizeof key, "%s%s%s", path, *path ? "." : "", json_key(a));
        if (json_is_object(a) && json_is_object(b))
            TRY(compare(rows, key, a, b));
        else if (!same(a, b))
            TRY(add_row(rows, key, a, b));
    }
    for (const struct json *b = json_first(other); b; b = json_next(b)) {
        snprintf(key, sizeof key, "%s%s%s", path, *path ? "." : "", json_key(b));
        if (!json_get(one, json_key(b)))
            TRY(add_row(rows, key, NULL, b));
    }
    return 0;
}

struct answers {
    float *logits;
    int32_t *labels, classes;
    uint32_t images;
};

static int count(struct json *j, const struct answers *a, const struct answers *b)
{
    uint32_t agree = 0, right[2] = {0, 0}, only[2] = {0, 0};
    double largest = 0;
    for (uint32_t i = 0; i < a->images; i++) {
        const float *x = a->logits + (size_t)i * (size_t)a->classes,
                    *y = b->logits + (size_t)i * (size_t)b->classes;
        const int32_t p = logits_likeliest(x, a->classes), q = logits_likeliest(y, b->classes),
                      label = a->labels[i];
        for (int32_t k = 0; k < a->classes; k++)
            largest = fmax(largest, fabs((double)x[k] - (double)y[k]));
        agree += p == q;
        right[0] += p == label;
        right[1] += q == label;
        only[0] += p == label && q != label;
        only[1] += q == label && p != label;
    }
    TRY(json_set_integer(j, "images", a->images));
    TRY(json_set_number(j, "one", (double)right[0] / a->images));
    TRY(json_set_number(j, "other", (double)right[1] / a->images));
    TRY(json_set_number(j, "same_label", (double)agree / a->images));
    TRY(json_set_integer(j, "only_one", only[0]));
    TRY(json_set_integer(j, "only_other", only[1]));
    TRY(json_set_number(j, "mcnemar", stats_mcnemar(only[0], only[1])));
    return json_set_number(j, "largest", largest);
}

/* Both answered the same images: their labels are the same. Otherwise there is nothing to pair. */
static int compare_answers(struct json *document, const struct store *store, const struct result_file *a,
                           const struct result_file *b)
{
    struct answers x = {0}, y = {0};
    int rc = 0;
    if (isnan(a->outcome.accuracy) || isnan(b->outcome.accuracy))
        return 0;
    rc = store_logits(store, a->id, &x.logits, &x.labels, &x.images, &x.classes);
    if (rc == 0)
        rc = store_logits(store, b->id, &y.logits, &y.labels, &y.images, &y.classes);
    if (rc == 0 && x.images == y.images && x.classes == y.classes &&
        memcmp(x.labels, y.labels, x.images * sizeof *x.labels) == 0) {
        struct json *j = json_object();
        rc = json_take(document, "answers", j);
        if (rc == 0)
            rc = count(j, &x, &y);
    }
    mem_free(x.logits);
    mem_free(x.labels);
    mem_free(y.logits);
    mem_free(y.labels);
    return rc;
}

static int print(const struct settings *s, const struct json *document)
{
    const struct json *rows = json_get(document, "differs"), *answers = json_get(document, "answers");
    if (s->json)
        return json_print(document);
    if (json_count(rows))
        table_print(rows, columns);
    else
        printf("The two are the same result.\n");
    if (answers) {
        printf("\n");
        table_print_card(answers, card);
    } else {
        printf("\nTheir answers cannot be paired: not both judged images, or not the same ones.\n");
    }
    return 0;
}

static int run(const struct settings *s)
{
    struct store *store = NULL;
    struct result_file a = {0}, b = {0};
    struct json *document = json_object(), *rows = json_set_array(document, "differs");
    int rc;
    TRY_OUT(store_open(&store, s->store, 0));
    TRY_OUT(result_open(&a, store, s->rest[0]));
    TRY_OUT(result_open(&b, store, s->rest[1]));
    TRY_OUT(compare(rows, "", json_get(a.result, "spec"), json_get(b.result, "spec")));
    TRY_OUT(compare_answers(document, store, &a, &b));
    rc = print(s, document);
out:
    result_close(&a);
    result_close(&b);
    json_destroy(document);
    store_close(store);
    return rc;
}

static const struct argument_group *const groups[] = {&group_store, &group_json, &group_general, NULL};
const struct verb verb_diff = {
    .name = "diff",
    .summary = "how two stored results differ, in what they are and in what they answer",
    .synopsis = "ID ID",
    .about = "Lists what differs between two results' trials, and where both judged the same images, how "
             "often they agree and "
             "whether the difference in accuracy could be chance (exact McNemar test).",
    .examples = {"vitro diff 3fa9c1 b2e004"},
    .groups = groups,
    .rest_least = 2,
    .rest_most = 2,
    .rest_name = "ID",
    .run = run,
};

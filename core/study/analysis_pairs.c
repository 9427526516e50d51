/* analysis_pairs.c - every pair of methods: the paired difference of their means, and McNemar's test on each pack. */
#include "analysis_private.h"

#include "error.h"

#include <stdio.h>

struct mcnemar {
    uint64_t b, c; /* only the first is right; only the second */
    double p, p_holm;
    int there;
};

/* Of one seed, the first: counts pooled over seeds would take one image for several independent ones. */
static struct mcnemar count_discordant(const struct analysis *a, const struct answers *s, uint32_t x,
                                       uint32_t y)
{
    struct mcnemar test = {.there = s->complete[x] && s->complete[y]};
    const unsigned char *first = s->right + answers_row(a, x, 0) * s->images;
    const unsigned char *second = s->right + answers_row(a, y, 0) * s->images;
    if (!test.there)
        return test;
    for (uint32_t i = 0; i < s->images; i++) {
        test.b += first[i] && !second[i];
        test.c += !first[i] && second[i];
    }
    test.p = stats_mcnemar(test.b, test.c);
    return test;
}

/* [pair] of one pack, adjusted within the pack */
static int test_pack(struct analysis *a, uint32_t pack, struct mcnemar *tests)
{
    uint32_t methods = a->panel->method_count, pair = 0, there = 0;
    double *p = mem_alloc((size_t)methods * methods, sizeof *p);
    if (!p)
        return ERR_MEMORY;
    for (uint32_t x = 0; x < methods; x++)
        for (uint32_t y = x + 1; y < methods; y++, pair++) {
            tests[pair] = count_discordant(a, &a->answers[pack], x, y);
            if (tests[pair].there)
                p[there++] = tests[pair].p;
        }
    int rc = stats_holm(p, there);
    for (uint32_t i = 0, at = 0; rc == 0 && i < pair; i++)
        if (tests[i].there)
            tests[i].p_holm = p[at++];
    mem_free(p);
    return rc;
}

static int put_test(struct analysis *a, struct json *array, const struct mcnemar *test)
{
    struct json *object;
    char seed[24];
    if (!test->there)
        return analysis_null(array, NULL);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)a->panel->seeds[0]);
    TRY(analysis_object(&object, array, NULL));
    TRY(json_set_integer(object, "b", (int64_t)test->b));
    TRY(json_set_integer(object, "c", (int64_t)test->c));
    TRY(json_set_number(object, "p", test->p));
    TRY(json_set_number(object, "p_holm", test->p_holm));
    return json_set_string(object, "seed", seed);
}

static int put_pair(struct analysis *a, struct json *pairs, uint32_t x, uint32_t y, struct json **tests)
{
    const struct resample_pair *r = resample_pair(&a->overall, x, y);
    struct interval none = {NAN, NAN};
    struct json *object;
    TRY(analysis_object(&object, pairs, NULL));
    TRY(json_set_integer(object, "a", x));
    TRY(json_set_integer(object, "b", y));
    TRY(json_set_number(object, "difference", r ? r->difference : NAN));
    TRY(analysis_interval(object, "low", "high", r ? r->interval : none));
    TRY(json_set_number(object, "p", r ? r->p : NAN));
    TRY(json_set_number(object, "p_holm", r ? r->p_holm : NAN));
    TRY(json_set_number(object, "improvement", r ? r->improvement : NAN));
    return analysis_array(tests, object, "mcnemar");
}

int analysis_pairs(struct analysis *a)
{
    uint32_t methods = a->panel->method_count, packs = a->panel->pack_count, pair = 0;
    size_t count = (size_t)methods * (methods - 1) / 2;
    struct mcnemar *tests = arena_alloc(&a->memory, count * packs, sizeof *tests);
    struct json *pairs, *array;
    if (!tests)
        return ERR_MEMORY;
    for (uint32_t pack = 0; pack < packs; pack++)
        TRY(test_pack(a, pack, tests + pack * count));
    TRY(analysis_array(&pairs, a->document, "pairs"));
    for (uint32_t x = 0; x < methods; x++)
        for (uint32_t y = x + 1; y < methods; y++, pair++) {
            TRY(put_pair(a, pairs, x, y, &array));
            for (uint32_t pack = 0; pack < packs; pack++)
                TRY(put_test(a, array, &tests[pack * count + pair]));
        }
    return 0;
}

/* hand_study.h - a recipe with single quotes for double ones, and a study of it that is resolved by hand: what the
 * tests of reading, planning and storing share. Nothing is opened and nothing is trained. */
#ifndef VITRO_TESTS_STUDY_HAND_STUDY_H
#define VITRO_TESTS_STUDY_HAND_STUDY_H

#include "budget.h"
#include "error.h"
#include "file.h"
#include "memory.h"
#include "recipe_json.h"
#include "study.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { HAND_CLASSES = 3, HAND_TRAIN = 12, HAND_VAL = 8, HAND_TEST = 6, HAND_TEXT = 8192 };

static char hand_folder[64];

static inline int hand_enter(void **state)
{
    (void)state;
    strcpy(hand_folder, "vitro_study_XXXXXX");
    return mkdtemp(hand_folder) && chdir(hand_folder) == 0 ? 0 : -1;
}

static inline int hand_leave(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -r '%s'", hand_folder);
    return chdir("..") == 0 && system(command) == 0 ? 0 : -1;
}

static inline void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

/* JSON whose quotes are written as '. */
static inline struct json *hand_json(const char *quoted)
{
    char text[HAND_TEXT];
    struct json *j = NULL;
    assert_in_range(snprintf(text, sizeof text, "%s", quoted), 0, HAND_TEXT - 1);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    must(json_parse(&j, text, strlen(text), "the test's text"));
    return j;
}

static inline int hand_parse(struct study **out, const char *quoted)
{
    struct json *j = hand_json(quoted);
    int rc = study_parse(out, j, "hand.json");
    json_destroy(j);
    return rc;
}

/* The text with its first `old` replaced by `new`. */
static inline const char *hand_edit(const char *text, const char *old, const char *new)
{
    static char edited[HAND_TEXT];
    const char *at = strstr(text, old);
    if (!at)
        fail_msg("the text has no %s", old);
    assert_in_range(
        snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old)), 0,
        HAND_TEXT - 1);
    return edited;
}

static inline const char *hand_digest(struct study *s, const char *of)
{
    char digest[HASH_TEXT];
    must(hash_bytes(of, strlen(of), digest));
    return arena_string(&s->arena, digest);
}

/* The axes that a "search" object lists; what is no number of the training is an option of part 0. */
static inline void hand_axes(struct study *s, struct study_method *m, const struct json *search)
{
    for (const struct json *j = json_first(search); j; j = json_next(j)) {
        struct study_axis *a = &m->axes[m->axis_count++];
        const struct json *range =
            json_get(j, "uniform") ? json_get(j, "uniform") : json_get(j, "log_uniform");
        a->name = arena_string(&s->arena, json_key(j));
        a->part = recipe_has(json_key(j)) ? -1 : 0;
        if (range) {
            a->kind = json_get(j, "uniform") ? AXIS_UNIFORM : AXIS_LOG_UNIFORM;
            json_number(json_first(range), &a->low);
            json_number(json_next(json_first(range)), &a->high);
            continue;
        }
        a->values = arena_alloc(&s->arena, json_count(j), sizeof *a->values);
        for (const struct json *item = json_first(j); item; item = json_next(item)) {
            char *text = json_string(item) ? mem_string(json_string(item)) : json_text(item, 0);
            a->values[a->count++] = arena_string(&s->arena, text);
            mem_free(text);
        }
    }
}

/* What resolve.h finds out, made up: every method is the plugin of its text with r=8, every pack has the same counts. */
static inline void hand_resolve(struct study *s)
{
    for (uint32_t i = 0; i < s->backbone_count; i++) {
        s->backbones[i].sha256 = hand_digest(s, s->backbones[i].name);
        s->backbones[i].heads = 3;
    }
    for (uint32_t i = 0; i < s->pack_count; i++) {
        struct study_pack *p = &s->packs[i];
        const uint32_t count[3] = {HAND_TRAIN, HAND_VAL, HAND_TEST};
        p->file = "hand.pack";
        p->task = p->name;
        p->group = p->group ? p->group : "given";
        p->normalise = "half";
        p->fingerprint = hand_digest(s, p->name);
        for (int k = 0; k < 3; k++) {
            char text[STUDY_NAME + 8];
            snprintf(text, sizeof text, "%s %d", p->name, k);
            p->split[k] = hand_digest(s, text);
            p->count[k] = count[k];
        }
        p->classes = HAND_CLASSES;
        p->size = 32;
    }
    for (uint32_t i = 0; i < s->method_count; i++) {
        struct study_method *m = &s->methods[i];
        m->parts = arena_alloc(&s->arena, 1, sizeof *m->parts);
        m->axes = arena_alloc(&s->arena, 16, sizeof *m->axes);
        m->plain = m->text;
        m->part_count = 1;
        m->parts->plugin = m->text;
        m->parts->path = "plugins/vitro_hand.so";
        m->parts->sha256 = hand_digest(s, m->text);
        m->parts->options = arena_alloc(&s->arena, 1, sizeof *m->parts->options);
        m->parts->options[0] = (struct study_setting){"r", "8"};
        m->parts->count = 1;
        hand_axes(s, m, m->search ? m->search : s->search);
        assert_int_equal(budget_draw(s, m), 0);
    }
    s->resolved = 1;
}

#endif

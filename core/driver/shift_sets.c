/* shift_sets.c - see shift_sets.h. */
#include "shift_sets.h"

#include "data_source.h"
#include "memory.h"
#include "progress.h"

#include <stdio.h>
#include <string.h>

static const size_t held_most = (size_t)2
                                << 30; /* bytes of corrupted pixels that are kept for the next method */

/* --- what is asked for */

static int add_corruption(struct shift_wishes *w, int kind, int severity)
{
    struct shift_wish *wish = &w->item[w->count];
    if (w->count == WISHES_MOST)
        return fail(ERR_USAGE, "more than %d shifts are asked for", WISHES_MOST);
    wish->what = (struct corruption){(enum corruption_kind)kind, severity};
    corruption_text(wish->what, wish->name);
    w->count++;
    return 0;
}

/* "corruptions", "corruptions:3", "fog", "fog:3"; 0 when it is no corruption's name. */
static int take_corruption(struct shift_wishes *w, const char *text)
{
    const char *colon = strchr(text, ':');
    const size_t length = colon ? (size_t)(colon - text) : strlen(text);
    struct corruption one;
    int known = 0;
    for (int kind = 0; kind < CORRUPTION_COUNT; kind++) {
        const char *name = corruption_name((enum corruption_kind)kind);
        const int all = length == strlen("corruptions") && strncmp(text, "corruptions", length) == 0;
        if (!all && (strlen(name) != length || strncmp(text, name, length) != 0))
            continue;
        char whole[CORRUPTION_TEXT];
        snprintf(whole, sizeof whole, "%s%.8s", name, colon ? colon : ":1");
        TRY(corruption_parse(&one, whole)); /* refuses a wrong severity */
        for (int severity = 1; severity <= CORRUPTION_SEVERITIES; severity++)
            if (!colon || severity == one.severity)
                TRY(add_corruption(w, kind, severity));
        known = 1;
    }
    return known;
}

/* "sketch=sets/sketch.pack", "sets/sketch.pack" */
static int take_data(struct shift_wishes *w, const char *name, const char *data)
{
    struct shift_wish *wish = &w->item[w->count];
    if (w->count == WISHES_MOST)
        return fail(ERR_USAGE, "more than %d shifts are asked for", WISHES_MOST);
    const char *last = strrchr(data, '/'), *shown = name ? name : last && last[1] ? last + 1 : data;
    snprintf(wish->name, sizeof wish->name, "%s", shown);
    if (!name && strchr(wish->name, '.') > wish->name)
        *strchr(wish->name, '.') = 0;
    wish->data = data;
    w->count++;
    return 0;
}

static int check_twice(const struct shift_wishes *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(w->item[i].name, w->item[k].name) == 0)
                return fail(ERR_USAGE, "the shift %s is asked for twice", w->item[i].name);
    return w->count ? 0 : fail(ERR_USAGE, "no shifts are asked for");
}

int shift_wishes_parse(struct shift_wishes *w, const char *text)
{
    *w = (struct shift_wishes){.text = mem_string(text)};
    if (!w->text)
        return ERR_MEMORY;
    for (char *rest = w->text, *one; rest;) {
        one = rest;
        rest = strchr(one, ',');
        if (rest)
            *rest++ = 0;
        if (!*one)
            return fail(ERR_USAGE, "--shifts \"%.80s\" has an empty item", text);
        int taken = take_corruption(w, one);
        TRY(taken);
        char *equals = strchr(one, '=');
        if (equals)
            *equals = 0;
        if (!taken)
            TRY(take_data(w, equals ? one : NULL, equals ? equals + 1 : one));
    }
    return check_twice(w);
}

int shift_wishes_of(struct shift_wishes *w, const struct study *study)
{
    *w = (struct shift_wishes){0};
    if (study->shift_count == 0)
        return take_corruption(w, "corruptions") < 0 ? ERR_USAGE : 0;
    for (uint32_t i = 0; i < study->shift_count; i++) {
        const struct study_shift *shift = &study->shifts[i];
        int taken = shift->data ? 0 : take_corruption(w, shift->name);
        TRY(taken);
        if (!taken)
            TRY(take_data(w, shift->data ? shift->name : NULL, shift->data ? shift->data : shift->name));
    }
    return check_twice(w);
}

void shift_wishes_finish(struct shift_wishes *w)
{
    mem_free(w->text);
    *w = (struct shift_wishes){0};
}

/* --- sets */

static struct judged_set *add_set(struct shift_sets *s, const char *name, enum shift_set_kind kind,
                                  const struct pack *pack, enum pack_split split)
{
    struct judged_set *set = &s->sets[s->count++];
    const struct pack_images images = pack_images(pack, split);
    *set = (struct judged_set){.name = arena_string(&s->arena, name),
                               .kind = kind,
                               .fingerprint = pack_info(pack)->split_fingerprint[split],
                               .count = images.count,
                               .labels = images.labels,
                               .rgb = images.rgb};
    return set->name ? set : NULL;
}

static int same_classes(const struct pack_info *a, const struct pack_info *b)
{
    int same = a->class_count == b->class_count;
    for (int i = 0; same && i < a->class_count; i++)
        same = strcmp(a->class_names[i], b->class_names[i]) == 0;
    return same;
}

/* As for ImageNet-R and -A: where a set has images of some classes only, answers are taken among these. */
static int restrict_answers(struct shift_sets *s, struct judged_set *set, int classes)
{
    int present = 0;
    unsigned char *only = arena_alloc(&s->arena, (size_t)classes, 1);
    if (!only)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < set->count; i++) {
        present += !only[set->labels[i]];
        only[set->labels[i]] = 1;
    }
    set->only = present < classes ? only : NULL;
    return 0;
}

/* The other data set, prepared as the own one is; the caller closes it, whatever is returned. */
static int open_other(struct pack **pack, const struct shift_wish *wish, const struct pack_info *own,
                      const struct settings *settings)
{
    struct settings with = *settings;
    with.data = wish->data;
    with.normalise = own->normalise;
    with.corrupt = NULL;
    *pack = NULL;
    TRY(open_data(pack, &with, own->size));
    const struct pack_info *info = pack_info(*pack);
    if (!same_classes(own, info))
        return fail(
            ERR_INPUT,
            "%s has other classes than %s (%d and %d, or other names); a shift needs the same classes in "
            "the same order",
            wish->name, own->task, info->class_count, own->class_count);
    return 0;
}

int shift_wishes_check(const struct shift_wishes *w, const struct pack *pack, const struct settings *settings)
{
    int rc = 0;
    for (uint32_t i = 0; i < w->count && rc == 0; i++) {
        struct pack *other = NULL;
        if (w->item[i].data)
            rc = open_other(&other, &w->item[i], pack_info(pack), settings);
        pack_close(other);
    }
    return rc;
}

static int add_data(struct shift_sets *s, const struct shift_wish *wish, const struct settings *settings)
{
    const struct pack_info *own = pack_info(s->pack), *info;
    struct pack *pack;
    int rc = open_other(&pack, wish, own, settings);
    if (pack)
        s->others[s->other_count++] = pack;
    TRY(rc);
    info = pack_info(pack);
    if (info->count[s->split] == 0) {
        say("%s has no %s images and is left out", wish->name, s->split == PACK_TEST ? "test" : "val");
        return 0;
    }
    TRY(pack_check(pack, s->split));
    struct judged_set *set = add_set(s, wish->name, SET_DATA, pack, s->split);
    return set ? restrict_answers(s, set, own->class_count) : ERR_MEMORY;
}

/* What names corrupted images: the fingerprint of the split, what was done to it and with which seed. */
static int corrupted_fingerprint(struct shift_sets *s, struct judged_set *set)
{
    char text[256], digest[HASH_TEXT];
    snprintf(text, sizeof text, "vitro corruption 1\n%s\n%s\nseed %llu\n", set->fingerprint, set->name,
             (unsigned long long)s->seed);
    TRY(hash_bytes(text, strlen(text), digest));
    set->fingerprint = arena_string(&s->arena, digest);
    return set->fingerprint ? 0 : ERR_MEMORY;
}

int shift_sets_open(struct shift_sets *s, const struct shift_wishes *wishes, const struct pack *pack,
                    enum pack_split split, int val, const struct settings *settings)
{
    *s = (struct shift_sets){.pack = pack, .split = split, .seed = settings->corrupt_seed};
    s->sets = arena_alloc(&s->arena, wishes->count + 2, sizeof *s->sets);
    s->owned = arena_alloc(&s->arena, wishes->count + 2, sizeof(unsigned char *));
    if (!s->sets || !s->owned)
        return ERR_MEMORY;
    if (pack_info(pack)->count[split] == 0)
        return fail(ERR_INPUT, "%s has no %s images", pack_info(pack)->task,
                    split == PACK_TEST ? "test" : "val");
    TRY(pack_check(pack, split));
    if (!add_set(s, "clean", SET_CLEAN, pack, split))
        return ERR_MEMORY;
    if (val && !add_set(s, "val", SET_VAL, pack, PACK_VAL))
        return ERR_MEMORY;
    for (uint32_t i = 0; i < wishes->count; i++) {
        const struct shift_wish *wish = &wishes->item[i];
        if (wish->data) {
            TRY(add_data(s, wish, settings));
            continue;
        }
        struct judged_set *set = add_set(s, wish->name, SET_CORRUPTION, pack, split);
        if (!set)
            return ERR_MEMORY;
        set->what = wish->what;
        set->rgb = NULL;
        TRY(corrupted_fingerprint(s, set));
    }
    return 0;
}

void shift_sets_close(struct shift_sets *s)
{
    for (uint32_t k = 0; s->owned && k < s->count; k++)
        mem_free(s->owned[k]);
    for (uint32_t i = 0; i < s->other_count; i++)
        pack_close(s->others[i]);
    arena_finish(&s->arena);
    *s = (struct shift_sets){0};
}

int shift_sets_pixels(struct shift_sets *s, uint32_t k)
{
    const struct pack_images images = pack_images(s->pack, s->split);
    const int side = pack_info(s->pack)->size;
    const size_t bytes = (size_t)images.count * (size_t)side * (size_t)side * 3;
    struct judged_set *set = &s->sets[k];
    if (set->rgb)
        return 0;
    for (uint32_t i = 0; s->held + bytes > held_most && i < s->count; i++)
        if (s->owned[i]) {
            mem_free(s->owned[i]);
            s->owned[i] = NULL;
            s->sets[i].rgb = NULL;
            s->held -= bytes;
        }
    s->owned[k] = mem_alloc(bytes, 1);
    if (!s->owned[k])
        return ERR_MEMORY;
    s->held += bytes;
    const struct corrupt_job job = {.what = set->what,
                                    .seed = s->seed,
                                    .first = corrupt_number(s->split, 0),
                                    .side = side,
                                    .count = images.count,
                                    .in = images.rgb,
                                    .out = s->owned[k]};
    TRY(corrupt_pictures(&job, NULL, NULL));
    set->rgb = s->owned[k];
    return 0;
}

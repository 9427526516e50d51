/* limits.c - a device that pretends to be a smaller one, or one that works in another order, so that what other devices
 * lack or do is tested on this. */
#include "vk_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, NUMBER_32, NUMBER_64 };

static const struct limit {
    const char *name;
    enum kind kind;
    size_t offset;
} limits[] = {
#define LIMIT(kind, member)                                   \
    {                                                         \
#member, kind, offsetof(struct device_limits, member) \
    }
    LIMIT(NUMBER_32, subgroup_size),
    LIMIT(NUMBER_32, shared_bytes),
    LIMIT(NUMBER_32, max_invocations),
    LIMIT(NUMBER_32, max_groups),
    LIMIT(NUMBER_64, max_allocation),
    LIMIT(NUMBER_64, max_storage_range),
    LIMIT(FLAG, no_int64),
    LIMIT(FLAG, no_fp16),
    LIMIT(FLAG, no_coopmat),
    LIMIT(FLAG, no_subgroup_arithmetic),
    LIMIT(FLAG, no_subgroup_control),
    LIMIT(FLAG, no_timestamps),
    LIMIT(FLAG, backwards),
#undef LIMIT
};
enum { LIMITS = sizeof limits / sizeof limits[0] };

static void set(struct device_limits *out, const struct limit *l, unsigned long long number)
{
    void *member = (unsigned char *)out + l->offset;
    switch (l->kind) {
    case FLAG: *(int *)member = 1; break;
    case NUMBER_32: *(uint32_t *)member = (uint32_t)number; break;
    case NUMBER_64: *(uint64_t *)member = number; break;
    }
}

/* A word of the text: "name" of a flag or "name=number"; 1 when it was understood. */
static int parse_word(struct device_limits *out, const char *word, size_t length)
{
    const char *equals = memchr(word, '=', length);
    size_t name = equals ? (size_t)(equals - word) : length;
    unsigned long long number = 0;
    if (equals) {
        char *end;
        errno = 0;
        number = strtoull(equals + 1, &end, 10);
        if (end != word + length || equals[1] < '0' || equals[1] > '9' || errno || number == 0)
            return 0;
    }
    for (int i = 0; i < LIMITS; i++) {
        const struct limit *l = &limits[i];
        if (strlen(l->name) != name || memcmp(l->name, word, name) != 0)
            continue;
        if ((l->kind == FLAG) != !equals || (l->kind == NUMBER_32 && number > UINT32_MAX))
            return 0;
        set(out, l, number);
        return 1;
    }
    return 0;
}

int device_limits_parse(struct device_limits *out, const char *text)
{
    memset(out, 0, sizeof *out);
    for (size_t length; *text; text += length + (text[length] == ',')) {
        length = strcspn(text, ",");
        if (parse_word(out, text, length))
            continue;
        char known[512] = "";
        for (int i = 0; i < LIMITS; i++)
            snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s%s", i ? ", " : "",
                     limits[i].name, limits[i].kind == FLAG ? "" : "=NUMBER");
        return fail(ERR_INPUT, "a device cannot pretend '%.*s'; known are %s, separated by commas",
                    length < 80 ? (int)length : 80, text, known);
    }
    return 0;
}

int limits_choose(struct device_limits *out, const struct device_limits *asked)
{
    const char *text = getenv("VITRO_PRETEND");
    memset(out, 0, sizeof *out);
    if (asked)
        *out = *asked;
    else if (text && *text)
        return fail_in(device_limits_parse(out, text), "the environment's VITRO_PRETEND");
    return 0;
}

static void least_32(uint32_t *own, uint32_t limit)
{
    if (limit && limit < *own)
        *own = limit;
}

static void least_64(uint64_t *own, uint64_t limit)
{
    if (limit && limit < *own)
        *own = limit;
}

void limits_apply(const struct device_limits *l, struct device_info *info, struct features *want)
{
    if (l->subgroup_size)
        info->subgroup_size = l->subgroup_size;
    least_32(&info->shared_bytes, l->shared_bytes);
    least_32(&info->max_invocations, l->max_invocations);
    for (int i = 0; i < 3; i++)
        least_32(&info->max_groups[i], l->max_groups);
    least_64(&info->max_allocation, l->max_allocation);
    least_64(&info->max_storage_range, l->max_storage_range);
    if (l->no_int64)
        want->core.features.shaderInt64 = VK_FALSE;
    if (l->no_fp16) {
        info->has_fp16 = 0;
        want->v12.shaderFloat16 = want->v11.storageBuffer16BitAccess = VK_FALSE;
    }
    if (l->no_coopmat || l->no_fp16 || l->no_subgroup_control || l->no_subgroup_arithmetic) {
        info->has_bf16 = info->has_coopmat = info->has_coopmat2 = 0;
        info->matrix_count = info->flexible_count = 0;
    }
    if (l->no_subgroup_arithmetic)
        info->subgroup_operations &= ~(uint32_t)VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    if (l->no_subgroup_control)
        want->subgroup.subgroupSizeControl = want->subgroup.computeFullSubgroups = VK_FALSE;
    if (l->no_subgroup_control || l->no_subgroup_arithmetic)
        info->has_subgroup_sums = 0;
    if (l->no_timestamps)
        info->timestamp_ns = 0;
    info->backwards = l->backwards;
}

/* resolve.c - see resolve.h: weights and data; methods are resolve_method.c's. */
#include "resolve.h"

#include "error.h"

#include <string.h>

/* Copies the text into the study's arena. */
static int keep(struct study *s, const char **place, const char *text)
{
    *place = arena_string(&s->arena, text);
    return *place ? 0 : ERR_MEMORY;
}

int resolve_backbone(struct study *s, uint32_t index, const struct vit *vit)
{
    struct study_backbone *b = &s->backbones[index];
    b->heads = vit->shape.heads;
    b->head_classes = b->head ? vit->shape.classes : 0;
    return keep(s, &b->sha256, vit->source_hash);
}

int resolve_pack(struct study *s, uint32_t index, const struct pack_info *info, const char *file)
{
    struct study_pack *p = &s->packs[index];
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(s->packs[i].fingerprint, info->fingerprint) == 0)
            return fail(ERR_INPUT, "the packs %s and %s are the same data (fingerprint %.12s)",
                        s->packs[i].name, p->name, info->fingerprint);
    TRY(keep(s, &p->file, file));
    TRY(keep(s, &p->task, info->task));
    TRY(keep(s, &p->fingerprint, info->fingerprint));
    TRY(keep(s, &p->normalise, info->normalise));
    TRY(keep(s, &p->group, p->group ? p->group : info->kind));
    p->classes = info->class_count;
    for (uint32_t i = 0; i < s->backbone_count; i++)
        if (s->backbones[i].head_classes && s->backbones[i].head_classes != p->classes)
            return fail(ERR_INPUT,
                        "it has %d classes, but the head %s has %d; a head fits the classes it was made for",
                        p->classes, s->backbones[i].head, s->backbones[i].head_classes);
    p->size = info->size;
    for (int k = 0; k < PACK_SPLITS; k++) {
        TRY(keep(s, &p->split[k], info->split_fingerprint[k]));
        p->count[k] = info->count[k];
    }
    if (!p->count[PACK_TRAIN] || !p->count[PACK_VAL])
        return fail(
            ERR_INPUT,
            "the pack %s has %u train and %u val images; a study trains on the one and selects by the other",
            p->name, p->count[PACK_TRAIN], p->count[PACK_VAL]);
    return recipe_check(&s->training, p->count[PACK_TRAIN]);
}

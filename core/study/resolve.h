/* resolve.h - a study against what is on this machine: which weights, which data, which plugins, which axes. */
#ifndef VITRO_STUDY_RESOLVE_H
#define VITRO_STUDY_RESOLVE_H

#include "host.h"
#include "pack.h"
#include "study.h"

int resolve_backbone(struct study *s, uint32_t index, const struct vit *vit);
/* `file` is where the prepared pack lies. */
int resolve_pack(struct study *s, uint32_t index, const struct pack_info *info, const char *file);
/* Loads the stack's plugins, declares it against `vit`, and finds its axes: those of the recipe's method, else of
 * its "search", else a default rate for what the method trains (the head alone, most of the backbone, or
 * little of it), and every option that declares values worth searching and that the recipe does not fix. */
int resolve_method(struct study *s, uint32_t index, struct plugins *plugins, const struct vit *vit);

#endif

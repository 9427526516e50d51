/* take_only.h - products by one tile of the ladder alone. */
#ifndef VITRO_TESTS_RUN_TAKE_ONLY_H
#define VITRO_TESTS_RUN_TAKE_ONLY_H

#include "ladder.h"

#include <string.h>

/* Has every product that the tile suits computed by it, cut along k or not, which a pinned choice would say; 0: the device
 * has no such tile. */
static inline int take_only(struct engine *e, const char *tile, enum number number)
{
    const struct product any = {.batches = 1, .m = 64, .n = 64, .k = 64, .number = number};
    struct ladder_choice choice;
    if (ladder_parse(tile, &choice) < 0 || !ladder_suits(e, choice.tile, &any))
        return 0;
    ladder_only(e, choice.tile->rung);
    for (const struct tile *t = ladder_tiles; t->name; t++)
        if (t != choice.tile && t->rung == choice.tile->rung)
            ladder_forbid(e, t);
    return 1;
}

/* The same of a tile that suits every product, with attention on matrix units, which a rung for products alone would deny
 * it. */
static inline void take_beside_units(struct engine *e, const char *tile)
{
    for (const struct tile *t = ladder_tiles; t->name; t++)
        if (strcmp(t->name, tile) != 0)
            ladder_forbid(e, t);
}

#endif

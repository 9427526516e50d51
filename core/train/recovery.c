/* recovery.c - see recovery.h. */
#include "recovery.h"

#include "clock.h"
#include "error.h"
#include "memory.h"

static const double seconds_between = 20; /* a copy of a large model takes a tenth of one */

static const enum bank_arena kept[] = {BANK_WEIGHTS, BANK_FIRST, BANK_SECOND};
enum { KEPT = sizeof kept / sizeof *kept };

int recovery_take(struct recovery *r, struct session *s, uint32_t step)
{
    if (!device_can_be_lost(engine_device(s->spec.engine)))
        return 0;
    r->floats = bank_arena_floats(s->bank);
    if (!r->arenas && !(r->arenas = mem_alloc(KEPT * r->floats + 1, sizeof *r->arenas)))
        return ERR_MEMORY;
    for (size_t i = 0; i < KEPT; i++)
        TRY(bank_arena_read(s->bank, kept[i], r->arenas + i * r->floats));
    r->step = step;
    r->taken = clock_seconds();
    return 0;
}

int recovery_is_due(const struct recovery *r)
{
    return r->arenas && clock_seconds() - r->taken >= seconds_between;
}

void recovery_drop(struct session *s)
{
    bank_destroy(s->bank);
    s->bank = NULL;
}

int recovery_fill(const struct recovery *r, struct session *s, int fill)
{
    TRY(session_refill(s));
    for (size_t i = 0; i < KEPT && fill; i++)
        TRY(bank_arena_write(s->bank, kept[i], r->arenas + i * r->floats));
    return 0;
}

void recovery_finish(struct recovery *r)
{
    mem_free(r->arenas);
    *r = (struct recovery){0};
}

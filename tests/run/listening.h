/* listening.h - engines whose warnings a test reads in `said`. */
#ifndef VITRO_TESTS_RUN_LISTENING_H
#define VITRO_TESTS_RUN_LISTENING_H

#include "device_world.h"
#include "engine.h"

#include <string.h>

static char said[4096];

static inline void hear(void *context, const char *text)
{
    (void)context;
    size_t used = strlen(said);
    snprintf(said + used, sizeof said - used, "%s\n", text);
}

static inline struct engine *make_engine(enum engine_style style)
{
    struct engine *e;
    must(engine_create(&e, device, style));
    engine_set_log(e, hear, NULL);
    said[0] = 0;
    return e;
}

#endif

/* Linear probing: only the head, which every method trains, learns. */
#include <vitro/sdk.h>

static int declare(void *self, vitro_decl *d)
{
    (void)self, (void)d; /* nothing to add, nothing to unfreeze */
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    (void)self, (void)m;
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,         .id = "linear",
    .version = "1.0",   .summary = "linear probe: a new head on the frozen backbone",
    .declare = declare, .param_count = param_count,
};

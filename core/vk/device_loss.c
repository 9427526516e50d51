/* device_loss.c - a device that was lost: noticed at whatever call says so first, and opened anew. After that call
 * nothing is asked of it any more, since drivers differ in what they then answer. */
#include "vk_private.h"

#include "memory.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REOPENINGS_MOST = 4 }; /* a card that is being reset takes a moment to come back */

int device_lost(const struct device *d, const char *call)
{
    return d->lost ? vk_check(VK_ERROR_DEVICE_LOST, call) : 0;
}

int device_note(struct device *d, int rc)
{
    if (rc == ERR_LOST && !d->lost) {
        d->lost = 1;
        d->losses++;
    }
    return rc;
}

int device_submit(struct device *d, const VkSubmitInfo *info, VkFence fence)
{
    if (d->lose_in && --d->lose_in == 0)
        return device_note(d, vk_check(VK_ERROR_DEVICE_LOST, "vkQueueSubmit("));
    TRY(device_lost(d, "vkQueueSubmit("));
    return device_note(d, VK(d->vk.vkQueueSubmit(d->queue, 1, info, fence)));
}

int device_idle(struct device *d)
{
    TRY(device_lost(d, "vkQueueWaitIdle("));
    return device_note(d, VK(d->vk.vkQueueWaitIdle(d->queue)));
}

int device_computes(const struct device *d)
{
    return !d->compile_only;
}

int device_can_be_lost(const struct device *d)
{
    return !d->info.is_cpu || d->spec.lose_submit;
}

/* Everything but what outlives a loss. */
static int open_again(struct device *d, const struct device_info *before)
{
    const struct validation said = d->instance.validation;
    device_shut(d);
    const struct device_spec spec = d->spec;
    const struct device_limits limits = d->limits;
    const int losses = d->losses;
    const uint64_t peak = d->peak;
    memset(d, 0, sizeof *d);
    d->spec = spec;
    d->limits = limits;
    d->losses = losses;
    d->peak = peak;
    TRY(device_open_on(d, &spec));
    if (said.errors)
        d->instance.validation = said;
    if (memcmp(d->info.pipeline_cache_uuid, before->pipeline_cache_uuid,
               sizeof before->pipeline_cache_uuid) ||
        strcmp(d->info.name, before->name))
        return fail(ERR_LOST, "the device %s was lost, and %s is now in its place", before->name,
                    d->info.name);
    return 0;
}

int device_reopen(struct device *d)
{
    int rc = 0;
    transfer_drop_staging(d);
    if (d->buffers)
        return fail(ERR_LOST, "the device %s was lost with %u buffers on it that nothing can bring back",
                    d->info.name, (unsigned)d->buffers);
    struct device_info *before = mem_alloc(1, sizeof *before);
    if (!before)
        return ERR_MEMORY;
    *before = d->info;
    for (int i = 0; i < REOPENINGS_MOST; i++) {
        const struct timespec a_moment = {.tv_sec = 1};
        if (i)
            nanosleep(&a_moment, NULL);
        if ((rc = open_again(d, before)) == 0)
            break;
    }
    if (rc < 0)
        d->info = *before; /* whoever reads it may still */
    mem_free(before);
    return rc < 0 ? fail_in(ERR_LOST, "the lost device did not come back") : 0;
}

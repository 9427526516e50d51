/* transfer.c - the device's own small command buffers, for copies and fills between those of streams.
 *
 * There are two of them, each with a staging buffer: while the device copies from one the host fills the other, and
 * nobody waits for the last one, as the queue keeps the order and every recording begins with a barrier. */
#include "vk_private.h"

static int open_lane(struct device *d, struct lane *l)
{
    VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
        .queueFamilyIndex = d->family,
    };
    TRY(VK(d->vk.vkCreateCommandPool(d->handle, &pool, NULL, &l->pool)));
    VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = l->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    TRY(VK(d->vk.vkAllocateCommandBuffers(d->handle, &commands, &l->command)));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    return VK(d->vk.vkCreateFence(d->handle, &fence, NULL, &l->done));
}

int transfer_open(struct device *d)
{
    for (int i = 0; i < LANES; i++)
        TRY(open_lane(d, &d->lanes[i]));
    return 0;
}

void transfer_drop_staging(struct device *d)
{
    transfer_settle(d);
    for (int i = 0; i < LANES; i++)
        buffer_destroy(d, &d->lanes[i].staging);
}

void transfer_close(struct device *d)
{
    transfer_drop_staging(d);
    for (int i = 0; i < LANES; i++) {
        struct lane *l = &d->lanes[i];
        if (l->done)
            d->vk.vkDestroyFence(d->handle, l->done, NULL);
        if (l->pool)
            d->vk.vkDestroyCommandPool(d->handle, l->pool, NULL);
        *l = (struct lane){0};
    }
}

void command_barrier(struct device *d, VkCommandBuffer command, int host)
{
    VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
    };
    VkPipelineStageFlags before = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    VkPipelineStageFlags after = before;
    if (host) {
        barrier.dstAccessMask |= VK_ACCESS_HOST_READ_BIT;
        after |= VK_PIPELINE_STAGE_HOST_BIT;
    }
    d->vk.vkCmdPipelineBarrier(command, before, after, 0, 1, &barrier, 0, NULL, 0, NULL);
}

int transfer_wait(struct device *d, struct lane *l)
{
    if (!l->busy)
        return 0;
    TRY(device_lost(d, "vkWaitForFences("));
    TRY(device_note(d, VK(d->vk.vkWaitForFences(d->handle, 1, &l->done, VK_TRUE, UINT64_MAX))));
    l->busy = 0;
    return VK(d->vk.vkResetFences(d->handle, 1, &l->done));
}

void transfer_settle(struct device *d)
{
    for (int i = 0; i < LANES; i++)
        if (transfer_wait(d, &d->lanes[i]) < 0)
            d->vk.vkQueueWaitIdle(
                d->queue); /* a lost device has no work left, one that a test loses may have */
}

int transfer_begin(struct device *d, struct lane **out)
{
    struct lane *l = &d->lanes[d->next_lane++ % LANES];
    VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    TRY(transfer_wait(d, l));
    TRY(VK(d->vk.vkResetCommandPool(d->handle, l->pool, 0)));
    TRY(VK(d->vk.vkBeginCommandBuffer(l->command, &begin)));
    command_barrier(d, l->command, 0);
    *out = l;
    return 0;
}

int transfer_submit(struct device *d, struct lane *l)
{
    command_barrier(d, l->command, 1);
    TRY(VK(d->vk.vkEndCommandBuffer(l->command)));
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &l->command,
    };
    TRY(device_submit(d, &submit, l->done));
    l->busy = 1;
    return 0;
}

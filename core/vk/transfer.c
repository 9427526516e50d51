/* transfer.c - the device's own small command buffer: work that the caller waits for at once. */
#include "vk_private.h"

int transfer_open(struct device *d)
{
    VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
        .queueFamilyIndex = d->family,
    };
    TRY(VK(d->vk.vkCreateCommandPool(d->handle, &pool, NULL, &d->transfer_pool)));
    VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = d->transfer_pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    TRY(VK(d->vk.vkAllocateCommandBuffers(d->handle, &commands, &d->transfer)));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    return VK(d->vk.vkCreateFence(d->handle, &fence, NULL, &d->transfer_done));
}

void transfer_close(struct device *d)
{
    buffer_destroy(d, &d->staging);
    if (d->transfer_done)
        d->vk.vkDestroyFence(d->handle, d->transfer_done, NULL);
    if (d->transfer_pool)
        d->vk.vkDestroyCommandPool(d->handle, d->transfer_pool, NULL);
    d->transfer_done = VK_NULL_HANDLE;
    d->transfer_pool = VK_NULL_HANDLE;
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

int transfer_begin(struct device *d)
{
    VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    TRY(VK(d->vk.vkResetCommandPool(d->handle, d->transfer_pool, 0)));
    TRY(VK(d->vk.vkBeginCommandBuffer(d->transfer, &begin)));
    command_barrier(d, d->transfer, 0);
    return 0;
}

int transfer_finish(struct device *d)
{
    command_barrier(d, d->transfer, 1);
    TRY(VK(d->vk.vkEndCommandBuffer(d->transfer)));
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &d->transfer,
    };
    TRY(VK(d->vk.vkQueueSubmit(d->queue, 1, &submit, d->transfer_done)));
    TRY(VK(d->vk.vkWaitForFences(d->handle, 1, &d->transfer_done, VK_TRUE, UINT64_MAX)));
    return VK(d->vk.vkResetFences(d->handle, 1, &d->transfer_done));
}

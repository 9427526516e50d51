/* stream.c - command buffers, recorded once and submitted again and again: making and recording them;
 * stream_submit.c hands them to the device. */
#include "stream_private.h"

#include "memory.h"

#include <stdio.h>
#include <string.h>

enum { POOL_DISPATCHES = 256 }; /* timestamp pairs of one query pool */

struct record { /* one dispatch, for profiles */
    const struct kernel *kernel;
    const char *label;
    double flops, bytes;
};

static int open_handles(struct stream *s)
{
    struct device *d = s->device;
    VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = d->family,
    };
    TRY(VK(d->vk.vkCreateCommandPool(d->handle, &pool, NULL, &s->pool)));
    VkSemaphoreTypeCreateInfo type = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
        .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
    };
    VkSemaphoreCreateInfo semaphore = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
        .pNext = &type,
    };
    return VK(d->vk.vkCreateSemaphore(d->handle, &semaphore, NULL, &s->timeline));
}

int stream_create(struct stream **out, struct device *d, int profile)
{
    *out = NULL;
    if (profile && d->info.timestamp_ns <= 0.0)
        return fail(ERR_DEVICE, "%s has no timestamps; run without a profile", d->info.name);
    struct stream *s = mem_alloc(1, sizeof *s);
    if (!s)
        return ERR_MEMORY;
    s->device = d;
    s->profile = profile && !d->compile_only;
    int rc = d->compile_only ? 0 : open_handles(s);
    if (rc < 0) {
        stream_destroy(s);
        return rc;
    }
    *out = s;
    return 0;
}

void stream_destroy(struct stream *s)
{
    if (!s)
        return;
    struct device *d = s->device;
    if (s->timeline && stream_settle(s) < 0)
        d->vk.vkQueueWaitIdle(d->queue); /* a lost device has no work left, one that a test loses may have */
    for (uint32_t i = 0; i < s->query_pools; i++)
        d->vk.vkDestroyQueryPool(d->handle, s->queries[i], NULL);
    if (s->timeline)
        d->vk.vkDestroySemaphore(d->handle, s->timeline, NULL);
    if (s->pool)
        d->vk.vkDestroyCommandPool(d->handle, s->pool, NULL);
    mem_free(s->segments);
    mem_free(s->queries);
    mem_free(s->records);
    mem_free(s);
}

/* Keeps the first error of a recording: the later calls do nothing. */
static void keep(struct stream *s, int rc)
{
    if (rc < 0 && s->rc == 0) {
        s->rc = rc;
        snprintf(s->reason, sizeof s->reason, "%s", error_text());
    }
}

/* Opens the next segment's command buffer, which later recordings use again. */
static int open_segment(struct stream *s)
{
    struct device *d = s->device;
    s->unordered = s->used = s->cut = 0;
    if (d->compile_only) {
        s->segment_count++;
        return 0;
    }
    if (s->segment_count == s->segment_room) {
        VkCommandBuffer *list =
            mem_grow(s->segments, s->segment_room, s->segment_room + 1, sizeof *s->segments);
        if (!list)
            return ERR_MEMORY;
        s->segments = list;
        VkCommandBufferAllocateInfo commands = {
            .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
            .commandPool = s->pool,
            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
            .commandBufferCount = 1,
        };
        TRY(VK(d->vk.vkAllocateCommandBuffers(d->handle, &commands, &list[s->segment_room])));
        s->segment_room++;
    }
    s->command = s->segments[s->segment_count++];
    VkCommandBufferBeginInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT,
    };
    TRY(VK(d->vk.vkBeginCommandBuffer(s->command, &info)));
    command_barrier(d, s->command, 0);
    return 0;
}

static int close_segment(struct stream *s, int last)
{
    if (s->device->compile_only)
        return 0;
    command_barrier(s->device, s->command, last);
    return VK(s->device->vk.vkEndCommandBuffer(s->command));
}

int stream_begin(struct stream *s)
{
    struct device *d = s->device;
    s->recording = s->recorded = 0;
    s->count = s->segment_count = 0;
    s->rc = 0;
    TRY(stream_settle(s));
    if (!d->compile_only)
        TRY(VK(d->vk.vkResetCommandPool(d->handle, s->pool, 0)));
    TRY(open_segment(s));
    s->recording = 1;
    return 0;
}

void stream_cut(struct stream *s)
{
    s->cut = s->used;
}

/* Only when there is more to record, so that no segment is empty. */
static void cut(struct stream *s)
{
    if (!s->cut || s->rc < 0)
        return;
    keep(s, close_segment(s, 0));
    if (s->rc == 0)
        keep(s, open_segment(s));
}

static int add_query_pool(struct stream *s)
{
    struct device *d = s->device;
    VkQueryPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = 2 * POOL_DISPATCHES,
    };
    VkQueryPool *list = mem_grow(s->queries, s->query_pools, s->query_pools + 1, sizeof *list);
    if (!list)
        return ERR_MEMORY;
    s->queries = list;
    TRY(VK(d->vk.vkCreateQueryPool(d->handle, &info, NULL, &list[s->query_pools])));
    s->query_pools++;
    return 0;
}

/* Notes dispatch s->count; with a profile, makes its queries ready. */
static int add_record(struct stream *s, const struct dispatch *work)
{
    if (s->count == s->room) {
        uint32_t room = s->room ? 2 * s->room : 64;
        struct record *list = mem_grow(s->records, s->room, room, sizeof *list);
        if (!list)
            return ERR_MEMORY;
        s->records = list;
        s->room = room;
    }
    s->records[s->count] = (struct record){work->kernel, work->label, work->flops, work->bytes};
    if (s->profile && s->count % POOL_DISPATCHES == 0) {
        uint32_t i = s->count / POOL_DISPATCHES;
        if (i == s->query_pools)
            TRY(add_query_pool(s));
        s->device->vk.vkCmdResetQueryPool(s->command, s->queries[i], 0, 2 * POOL_DISPATCHES);
    }
    return 0;
}

/* Both stamps wait for the work before them, so a dispatch's time does not hold its predecessor's. */
static void stamp(struct stream *s, uint32_t which)
{
    if (s->profile)
        s->device->vk.vkCmdWriteTimestamp(s->command, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                          s->queries[s->count / POOL_DISPATCHES],
                                          2 * (s->count % POOL_DISPATCHES) + which);
}

static int check_dispatch(const struct stream *s, const struct dispatch *work, const uint32_t base[3])
{
    const uint32_t *most = s->device->info.max_groups;
    if (work->kernel->push_bytes && !work->push)
        return fail(ERR_INPUT, "kernel %s: its push constants are missing", work->kernel->name);
    if ((base[0] | base[1] | base[2]) && !work->kernel->in_parts)
        return fail(ERR_INPUT, "kernel %s: a part of a dispatch needs a kernel that was made for parts",
                    work->kernel->name);
    for (int i = 0; i < 3; i++) {
        const uint64_t groups = (uint64_t)base[i] + work->groups[i];
        if (groups > most[i])
            return fail(
                ERR_DEVICE, "kernel %s: %llu workgroups along axis %d, but %s allows %u; use a smaller batch",
                work->kernel->name, (unsigned long long)groups, i, s->device->info.name, (unsigned)most[i]);
    }
    return 0;
}

void stream_dispatch_part(struct stream *s, const struct dispatch *work, const uint32_t base[3])
{
    struct device *d = s->device;
    if (!s->recording || s->rc < 0)
        return;
    keep(s, check_dispatch(s, work, base));
    cut(s);
    if (s->rc == 0)
        keep(s, add_record(s, work));
    if (s->rc < 0)
        return;
    if (d->compile_only) {
        s->count++;
        s->used = 1;
        return;
    }
    const struct kernel *k = work->kernel;
    kernel_bind(d, s->command, k);
    if (k->push_bytes)
        d->vk.vkCmdPushConstants(s->command, k->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, k->push_bytes,
                                 work->push);
    stamp(s, 0);
    if (base[0] | base[1] | base[2])
        d->vk.vkCmdDispatchBase(s->command, base[0], base[1], base[2], work->groups[0], work->groups[1],
                                work->groups[2]);
    else
        d->vk.vkCmdDispatch(s->command, work->groups[0], work->groups[1], work->groups[2]);
    stamp(s, 1);
    s->count++;
    s->unordered = s->used = 1;
}

void stream_dispatch(struct stream *s, const struct dispatch *work)
{
    stream_dispatch_part(s, work, (const uint32_t[3]){0});
}

void stream_barrier(struct stream *s)
{
    if (!s->recording || s->rc < 0 || !s->unordered)
        return;
    command_barrier(s->device, s->command, 0);
    s->unordered = 0;
}

static int check_copy(const struct buffer *from, uint64_t from_offset, const struct buffer *to,
                      uint64_t to_offset, uint64_t size)
{
    if (from_offset > from->size || size > from->size - from_offset || to_offset > to->size ||
        size > to->size - to_offset)
        return fail(ERR_INPUT,
                    "a copy of %llu bytes from offset %llu of %zu to offset %llu of %zu leaves its buffer",
                    (unsigned long long)size, (unsigned long long)from_offset, from->size,
                    (unsigned long long)to_offset, to->size);
    if (from->object == to->object && from_offset < to_offset + size && to_offset < from_offset + size)
        return fail(ERR_INPUT, "a copy of %llu bytes overlaps itself in one buffer",
                    (unsigned long long)size);
    return 0;
}

void stream_copy(struct stream *s, const struct buffer *from, uint64_t from_offset, const struct buffer *to,
                 uint64_t to_offset, uint64_t size)
{
    if (!s->recording || s->rc < 0 || size == 0)
        return;
    keep(s, check_copy(from, from_offset, to, to_offset, size));
    cut(s);
    if (s->rc < 0 || s->device->compile_only)
        return;
    VkBufferCopy region = {.srcOffset = from_offset, .dstOffset = to_offset, .size = size};
    s->device->vk.vkCmdCopyBuffer(s->command, buffer_handle(from), buffer_handle(to), 1, &region);
    s->unordered = s->used = 1;
}

int stream_end(struct stream *s)
{
    if (!s->recording)
        return fail(ERR_INPUT, "a stream was ended that was not begun");
    s->recording = 0;
    keep(s, close_segment(s, 1));
    if (s->rc < 0)
        return fail(s->rc, "%s", s->reason);
    s->recorded = 1;
    return 0;
}

uint32_t stream_segment_count(const struct stream *s)
{
    return s->segment_count;
}

uint32_t stream_dispatch_count(const struct stream *s)
{
    return s->count;
}

/* Ticks of both stamps of dispatch i. */
static int read_stamps(struct stream *s, uint32_t i, uint64_t stamps[2])
{
    struct device *d = s->device;
    if (!s->profile || !s->steps || i >= s->count)
        return fail(ERR_INPUT, "dispatch %u has no time: the stream has %u, %s", (unsigned)i,
                    (unsigned)s->count,
                    s->profile ? "or was not submitted yet" : "and was created without a profile");
    TRY(stream_wait(s, 0));
    return VK(d->vk.vkGetQueryPoolResults(d->handle, s->queries[i / POOL_DISPATCHES],
                                          2 * (i % POOL_DISPATCHES), 2, 2 * sizeof *stamps, stamps,
                                          sizeof *stamps, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
}

/* Counters wrap. */
static double ticks_ns(const struct device *d, uint64_t from, uint64_t to)
{
    uint64_t ticks = to - from;
    if (d->timestamp_bits < 64)
        ticks &= ((uint64_t)1 << d->timestamp_bits) - 1;
    return (double)ticks * d->info.timestamp_ns;
}

int stream_start(struct stream *s, uint32_t i, double *ns)
{
    uint64_t first[2], stamps[2];
    TRY(read_stamps(s, i, stamps));
    TRY(read_stamps(s, 0, first));
    *ns = ticks_ns(s->device, first[0], stamps[0]);
    return 0;
}

int stream_time(struct stream *s, uint32_t i, const char **label, const struct kernel **kernel, double *ns,
                double *flops, double *bytes)
{
    uint64_t stamps[2];
    TRY(read_stamps(s, i, stamps));
    *label = s->records[i].label;
    *kernel = s->records[i].kernel;
    *ns = ticks_ns(s->device, stamps[0], stamps[1]);
    *flops = s->records[i].flops;
    *bytes = s->records[i].bytes;
    return 0;
}

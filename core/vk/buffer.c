/* buffer.c - buffers with an address: one VkBuffer and one allocation each. A plan has a few dozen,
 * far below the 4096 allocations that every driver grants, so there is no allocator inside an allocator. */
#include "vk_private.h"

#include "memory.h"

#include <stdio.h>
#include <string.h>

enum {
    SLACK = 64 * 1024, /* promised in buffer.h: vector loads may run past the end */
    GRANULE = 256,     /* sizes are multiples, so that fills and vectors come out even */
    STAGING = 8 * 1024 * 1024
};

struct buffer_object {
    struct buffer_object *next, *before; /* of the device's */
    struct buffer as;                    /* what its owner holds */
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint64_t counted; /* bytes this buffer adds to the device's account */
    int rehearsed;    /* it has no memory, see device_rehearse_begin */
};

VkBuffer buffer_handle(const struct buffer *b)
{
    return b->object->buffer;
}

/* "1.5 GiB", "312 MiB", "80 bytes" */
static const char *size_text(char text[32], uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(text, 32, "%u bytes", (unsigned)bytes);
        return text;
    }
    double size = (double)bytes / 1024.0;
    int unit = 0;
    while (size >= 1024.0 && unit < 5) {
        size /= 1024.0;
        unit++;
    }
    snprintf(text, 32, size < 10.0 ? "%.1f %s" : "%.0f %s", size, units[unit]);
    return text;
}

static int refuse(const struct device *d, const char *name, uint64_t size, const char *why)
{
    char asked[32], used[32], heap[32];
    return fail(
        ERR_DEVICE,
        "buffer '%s' of %s does not fit on %s: %s (%s of %s in use by this program); use a smaller batch or "
        "model, or close other users of the device",
        name, size_text(asked, size), d->info.name, why, size_text(used, d->used),
        size_text(heap, d->info.heap_bytes));
}

/* The best of the memory types in `allowed`, or -1. Types with flags we do not know are left alone:
 * some need a feature switched on. */
static int choose_memory(const struct device *d, enum buffer_kind kind, uint32_t allowed)
{
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    int best = -1, best_score = -1;
    for (uint32_t i = 0; i < d->memory.memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = d->memory.memoryTypes[i].propertyFlags;
        if (!(allowed >> i & 1) || (flags & ~(local | host | cached)))
            continue;
        int is_local = (flags & local) != 0, is_host = (flags & host) == host;
        if (kind == BUFFER_HOST ? !is_host : !is_local)
            continue;
        int score = kind == BUFFER_HOST ? 2 * ((flags & cached) != 0) + !is_local : is_host == !d->staged;
        if (score > best_score) {
            best = (int)i;
            best_score = score;
        }
    }
    return best;
}

static int create_handle(struct device *d, struct buffer_object *o, uint64_t bytes)
{
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    return VK(d->vk.vkCreateBuffer(d->handle, &info, NULL, &o->buffer));
}

static VkResult allocate(struct device *d, struct buffer_object *o, uint64_t bytes, int type)
{
    VkMemoryAllocateFlagsInfo flags = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
        .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT,
    };
    VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .pNext = &flags,
        .allocationSize = bytes,
        .memoryTypeIndex = (uint32_t)type,
    };
    if (d->fail_in && --d->fail_in == 0)
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return d->vk.vkAllocateMemory(d->handle, &info, NULL, &o->memory);
}

static int bind(struct device *d, struct buffer *b, enum buffer_kind kind, const char *name)
{
    struct buffer_object *o = b->object;
    VkMemoryRequirements needs;
    d->vk.vkGetBufferMemoryRequirements(d->handle, o->buffer, &needs);
    int type = choose_memory(d, kind, needs.memoryTypeBits);
    if (type < 0)
        return fail(ERR_DEVICE,
                    "buffer '%s': %s has no memory of the kind that is needed; use another device", name,
                    d->info.name);
    const VkMemoryHeap *heap = &d->memory.memoryHeaps[d->memory.memoryTypes[type].heapIndex];
    int local = (heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
    if (needs.size > heap->size ||
        (local && !d->uncounted &&
         (needs.size + d->used > d->info.heap_bytes || needs.size + d->used > d->limit)))
        return refuse(d, name, b->size, "its memory is too small");
    VkResult result = allocate(d, o, needs.size, type);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
        return refuse(d, name, b->size, "the driver is out of memory");
    TRY(vk_check(result, "vkAllocateMemory("));
    o->counted = local && !d->uncounted ? needs.size : 0;
    d->used += o->counted;
    if (d->used > d->peak)
        d->peak = d->used;
    TRY(VK(d->vk.vkBindBufferMemory(d->handle, o->buffer, o->memory, 0)));
    VkMemoryPropertyFlags flags = d->memory.memoryTypes[type].propertyFlags;
    if (kind == BUFFER_HOST || (!d->staged && (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)))
        TRY(VK(d->vk.vkMapMemory(d->handle, o->memory, 0, VK_WHOLE_SIZE, 0, &b->mapped)));
    return 0;
}

static int clear(struct device *d, struct buffer *b, uint64_t bytes)
{
    if (b->mapped) {
        memset(b->mapped, 0, (size_t)bytes);
        return 0;
    }
    struct lane *l;
    TRY(transfer_begin(d, &l));
    d->vk.vkCmdFillBuffer(l->command, b->object->buffer, 0, bytes, 0);
    return transfer_submit(d, l);
}

uint64_t buffer_largest(uint64_t most)
{
    uint64_t overhead = SLACK + GRANULE;
    return most > overhead ? (most - overhead) / GRANULE * GRANULE : 0;
}

/* Size and address alone. */
static int rehearse(struct buffer *b, struct device *d, enum buffer_kind kind, uint64_t bytes)
{
    int type = choose_memory(d, kind, ~0u);
    int local = type >= 0 && d->memory.memoryHeaps[d->memory.memoryTypes[type].heapIndex].flags &
                                 VK_MEMORY_HEAP_DEVICE_LOCAL_BIT;
    b->object->rehearsed = 1;
    b->object->counted = local ? bytes : 0;
    b->address = d->rehearsed_address;
    d->rehearsed_address += bytes;
    d->rehearsed += b->object->counted;
    if (d->rehearsed > d->rehearsed_peak)
        d->rehearsed_peak = d->rehearsed;
    return 0;
}

static int fill_in(struct buffer *b, struct device *d, enum buffer_kind kind, const char *name)
{
    struct buffer_object *o = b->object;
    if (b->size > buffer_largest(d->max_buffer) || b->size > SIZE_MAX - SLACK - GRANULE)
        return refuse(d, name, b->size, "no buffer can be so large");
    uint64_t bytes = (b->size + GRANULE - 1) / GRANULE * GRANULE + SLACK;
    if (d->rehearses)
        return rehearse(b, d, kind, bytes);
    TRY(create_handle(d, o, bytes));
    device_name_object(d, VK_OBJECT_TYPE_BUFFER, (uint64_t)o->buffer, name);
    TRY(bind(d, b, kind, name));
    VkBufferDeviceAddressInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
        .buffer = o->buffer,
    };
    b->address = d->vk.vkGetBufferDeviceAddress(d->handle, &info);
    return clear(d, b, bytes);
}

/* Of a device that computes nothing: an address that no other buffer has. */
static void invent(struct buffer *b, struct device *d)
{
    d->next_address += (uint64_t)1 << 32; /* aligned, and never 0 */
    b->address = d->next_address;
    d->next_address += (b->size + SLACK) & ~(uint64_t)(SLACK - 1);
    b->object->counted = b->size;
    d->used += b->size;
    if (d->used > d->peak)
        d->peak = d->used;
}

static void enter(struct buffer *b, struct device *d)
{
    struct buffer_object *o = b->object;
    o->next = d->objects;
    if (o->next)
        o->next->before = o;
    d->objects = o;
    d->buffers++;
}

static void leave(struct buffer_object *o, struct device *d)
{
    if (o->next)
        o->next->before = o->before;
    *(o->before ? &o->before->next : &d->objects) = o->next;
    d->buffers--;
}

int buffer_create(struct buffer *out, struct device *d, enum buffer_kind kind, size_t size, const char *name)
{
    int rc = 0;
    memset(out, 0, sizeof *out);
    out->object = mem_alloc(1, sizeof *out->object);
    if (!out->object)
        return ERR_MEMORY;
    out->size = size;
    enter(out, d);
    if (d->compile_only && !d->rehearses)
        invent(out, d);
    else
        rc = fill_in(out, d, kind, name ? name : "unnamed");
    out->object->as = *out;
    if (rc < 0)
        buffer_destroy(d, out);
    return rc;
}

void buffer_each(const struct device *d, buffer_see *see, void *context)
{
    for (const struct buffer_object *o = d->objects; o; o = o->next)
        see(context, &o->as);
}

void buffer_destroy(struct device *d, struct buffer *b)
{
    if (!b || !b->object)
        return;
    struct buffer_object *o = b->object;
    if (o->memory && !b->mapped)
        transfer_settle(d); /* a fill or a copy may still be on its way */
    if (o->rehearsed)
        d->rehearsed -= o->counted;
    if (o->buffer)
        d->vk.vkDestroyBuffer(d->handle, o->buffer, NULL);
    if (o->memory)
        d->vk.vkFreeMemory(d->handle, o->memory, NULL); /* unmaps it, too */
    d->used -= o->rehearsed ? 0 : o->counted;
    leave(o, d);
    mem_free(o);
    memset(b, 0, sizeof *b);
}

static int check_range(const struct buffer *b, size_t offset, size_t size, const char *verb)
{
    if (offset <= b->size && size <= b->size - offset)
        return 0;
    return fail(ERR_INPUT, "%zu bytes at offset %zu cannot be %s: the buffer has %zu", size, offset, verb,
                b->size);
}

/* A copy between the staging buffer of a lane and the buffer, on its way when this returns. `from`: what to copy, or
 * NULL for a copy to the host. */
static int copy_staged(struct device *d, const struct buffer *b, size_t offset, size_t size, const void *from,
                       struct lane **out)
{
    struct lane *l;
    TRY(transfer_begin(d, &l));
    if (!l->staging.object)
        TRY(buffer_create(&l->staging, d, BUFFER_HOST, STAGING, "staging"));
    if (from)
        memcpy(l->staging.mapped, from, size);
    VkBuffer staging = l->staging.object->buffer;
    VkBufferCopy region = {.srcOffset = from ? 0 : offset, .dstOffset = from ? offset : 0, .size = size};
    d->vk.vkCmdCopyBuffer(l->command, from ? staging : b->object->buffer, from ? b->object->buffer : staging,
                          1, &region);
    *out = l;
    return transfer_submit(d, l);
}

int buffer_write(struct device *d, const struct buffer *b, size_t offset, const void *bytes, size_t size)
{
    TRY(check_range(b, offset, size, "written"));
    if (size == 0 || d->compile_only || b->object->rehearsed)
        return 0;
    if (b->mapped) {
        TRY(device_idle(d));
        memcpy((unsigned char *)b->mapped + offset, bytes, size);
        return 0;
    }
    for (size_t done = 0, part; done < size; done += part) {
        struct lane *l;
        part = size - done < STAGING ? size - done : STAGING;
        TRY(copy_staged(d, b, offset + done, part, (const unsigned char *)bytes + done, &l));
    }
    return 0;
}

int buffer_read(struct device *d, const struct buffer *b, size_t offset, void *bytes, size_t size)
{
    TRY(check_range(b, offset, size, "read"));
    if (size == 0)
        return 0;
    if (d->compile_only || b->object->rehearsed) {
        memset(bytes, 0, size);
        return 0;
    }
    if (b->mapped) {
        TRY(device_idle(d));
        memcpy(bytes, (const unsigned char *)b->mapped + offset, size);
        return 0;
    }
    struct lane *before = NULL; /* whose part lies at `got` */
    for (size_t asked = 0, got = 0; got < size;) {
        struct lane *l = NULL;
        size_t part = size - asked < STAGING ? size - asked : STAGING, last = asked - got;
        if (part)
            TRY(copy_staged(d, b, offset + asked, part, NULL, &l));
        asked += part;
        if (before) {
            TRY(transfer_wait(d, before));
            memcpy((unsigned char *)bytes + got, before->staging.mapped, last);
            got += last;
        }
        before = l;
    }
    return 0;
}

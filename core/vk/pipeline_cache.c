/* pipeline_cache.c - compiled pipelines, kept between runs below the user's cache folder.
 *
 * What does not match its fingerprint is never shown to the driver. lavapipe puts no code into this data (20 to 32
 * bytes): kernel_binary.c. */
#include "vk_private.h"

#include "file.h"
#include "memory.h"
#include "cache_file.h"

#include <stdio.h>
#include <string.h>

static const char magic[] = "vitro pipelines 1 ";
static const size_t limit_bytes = (size_t)256 << 20;

void pipeline_cache_path(const struct device *d, char *path, size_t size)
{
    char folder[768], uuid[33];
    path[0] = '\0';
    if (d->info.is_llvmpipe || file_cache_folder(folder, sizeof folder) < 0)
        return;
    for (int i = 0; i < 16; i++)
        snprintf(uuid + 2 * i, 3, "%02x", d->info.pipeline_cache_uuid[i]);
    snprintf(path, size, "%s/pipelines-%08x-%08x-%08x-%s", folder, (unsigned)d->info.vendor_id,
             (unsigned)d->info.device_id, (unsigned)d->info.driver_version, uuid);
}

int pipeline_cache_open(struct pipeline_cache *cache, struct device *d, const char *path)
{
    struct cache_file kept;
    memset(cache, 0, sizeof *cache);
    snprintf(cache->path, sizeof cache->path, "%s", path);
    cache_file_read(&kept, path, magic, limit_bytes); /* absent or damaged: start anew, and replace it on closing */
    memcpy(cache->loaded, kept.hash, sizeof cache->loaded);
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = kept.size,
        .pInitialData = kept.data,
    };
    int rc = VK(d->vk.vkCreatePipelineCache(d->handle, &info, NULL, &cache->handle));
    cache_file_free(&kept);
    return rc;
}

/* Only time is lost when it cannot be written. */
static void store(const struct pipeline_cache *cache, const char *data, size_t size)
{
    char hash[HASH_TEXT];
    if (hash_bytes(data, size, hash) == 0 && strcmp(hash, cache->loaded) != 0)
        cache_file_write(cache->path, magic, data, size);
}

void pipeline_cache_close(struct pipeline_cache *cache, struct device *d)
{
    if (!cache->handle)
        return;
    size_t size = 0;
    char *data = NULL;
    if (!d->lost && d->vk.vkGetPipelineCacheData(d->handle, cache->handle, &size, NULL) == VK_SUCCESS && size > 0)
        data = mem_alloc(size, 1);
    if (data && d->vk.vkGetPipelineCacheData(d->handle, cache->handle, &size, data) == VK_SUCCESS)
        store(cache, data, size);
    mem_free(data);
    d->vk.vkDestroyPipelineCache(d->handle, cache->handle, NULL);
    memset(cache, 0, sizeof *cache);
}

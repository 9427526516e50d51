/* pipeline_cache.c - compiled pipelines, kept between runs below the user's cache folder.
 *
 * The file is a line of text with the fingerprint of the rest, then the driver's own data: what does
 * not match its fingerprint is never shown to the driver. lavapipe puts no code into this data (20 to 32
 * bytes), it has a disk cache of its own. */
#include "vk_private.h"

#include "file.h"
#include "memory.h"

#include <stdio.h>
#include <string.h>

static const char magic[] = "vitro pipelines 1 ";
enum { MAGIC_BYTES = sizeof magic - 1, HEAD_BYTES = MAGIC_BYTES + HASH_TEXT }; /* a line feed ends the head */
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

/* The driver's data inside the file's bytes, or NULL when the file is not what we wrote. */
static const char *payload(const char *bytes, size_t size, char hash[HASH_TEXT])
{
    if (size <= HEAD_BYTES || memcmp(bytes, magic, MAGIC_BYTES) != 0 || bytes[HEAD_BYTES - 1] != '\n')
        return NULL;
    if (hash_bytes(bytes + HEAD_BYTES, size - HEAD_BYTES, hash) < 0 ||
        memcmp(hash, bytes + MAGIC_BYTES, HASH_TEXT - 1) != 0)
        return NULL;
    return bytes + HEAD_BYTES;
}

int pipeline_cache_open(struct pipeline_cache *cache, struct device *d, const char *path)
{
    char *bytes = NULL;
    size_t size = 0;
    const char *data = NULL;
    memset(cache, 0, sizeof *cache);
    snprintf(cache->path, sizeof cache->path, "%s", path);
    if (file_exists(path) && file_read(path, limit_bytes, &bytes, &size) == 0)
        data = payload(bytes, size, cache->loaded);
    if (!data)
        cache->loaded[0] = '\0'; /* absent or damaged: start anew, and replace it on closing */
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = data ? size - HEAD_BYTES : 0,
        .pInitialData = data,
    };
    int rc = VK(d->vk.vkCreatePipelineCache(d->handle, &info, NULL, &cache->handle));
    mem_free(bytes);
    return rc;
}

static int store(const struct pipeline_cache *cache, const char *data, size_t size)
{
    char hash[HASH_TEXT];
    struct file_writer *file;
    TRY(hash_bytes(data, size, hash));
    if (strcmp(hash, cache->loaded) == 0)
        return 0;
    TRY(file_begin(&file, cache->path));
    file_put(file, magic, MAGIC_BYTES);
    file_put(file, hash, HASH_TEXT - 1);
    file_put(file, "\n", 1);
    file_put(file, data, size);
    return file_commit(file);
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
        store(cache, data, size); /* only time is lost when it cannot be written */
    mem_free(data);
    d->vk.vkDestroyPipelineCache(d->handle, cache->handle, NULL);
    memset(cache, 0, sizeof *cache);
}

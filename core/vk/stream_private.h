/* stream_private.h - a stream's inside, for stream.c and stream_submit.c. */
#ifndef VITRO_VK_STREAM_PRIVATE_H
#define VITRO_VK_STREAM_PRIVATE_H

#include "stream.h"
#include "vk_private.h"

struct ending {     /* of a submit */
    uint64_t value; /* of the timeline when it is done */
    uint64_t steps; /* recordings that are then done */
};

struct stream {
    struct device *device;
    VkCommandPool pool;
    VkCommandBuffer command; /* being recorded */
    VkCommandBuffer *segments;
    uint32_t segment_count, segment_room;
    VkSemaphore timeline;
    uint64_t submitted, steps;          /* submits; recordings that they complete */
    struct ending endings[SUBMITS_MAX]; /* of submit n at n % SUBMITS_MAX */
    int profile, recording, recorded;
    int unordered, used; /* work was recorded since the last barrier; since the segment began */
    int cut;             /* the next work begins another segment */
    int rc;              /* the recording's first error and its sentence */
    char reason[MESSAGE_SIZE];
    struct record *records;
    uint32_t count, room;
    VkQueryPool *queries; /* one for every POOL_DISPATCHES dispatches */
    uint32_t query_pools;
};

/* Waits for every submit, also for those of a recording whose rest could not be submitted. */
int stream_settle(struct stream *s);

#endif

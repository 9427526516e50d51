/* stream_submit.c - handing recordings to the device, and waiting for them.
 *
 * Order: every command buffer begins with a barrier against everything submitted before it, so segments and
 * overlapping submits still run one after the other. Each submit raises the stream's timeline semaphore by
 * one; `endings` tells which of its values completes how many recordings. */
#include "stream_private.h"

#include "clock.h"

#include <string.h>

enum { COPIES_MOST = 64 }; /* of one recording in one submit */

static int wait_value(struct stream *s, uint64_t value)
{
    struct device *d = s->device;
    VkSemaphoreWaitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
        .semaphoreCount = 1,
        .pSemaphores = &s->timeline,
        .pValues = &value,
    };
    TRY(device_lost(d, "vkWaitSemaphores("));
    return device_note(d, VK(d->vk.vkWaitSemaphores(d->handle, &info, UINT64_MAX)));
}

int stream_settle(struct stream *s)
{
    return s->submitted ? wait_value(s, s->submitted) : 0;
}

int stream_wait(struct stream *s, uint32_t pending)
{
    if (s->steps <= pending)
        return 0;
    uint64_t wanted = s->steps - pending;
    uint64_t oldest = s->submitted > SUBMITS_MAX ? s->submitted - SUBMITS_MAX : 0;
    for (uint64_t n = oldest; n < s->submitted; n++) {
        const struct ending *e = &s->endings[n % SUBMITS_MAX];
        if (e->steps >= wanted)
            return wait_value(s, e->value);
    }
    return 0;
}

/* One submit of a command buffer, `copies` times over; after it `done` more recordings are complete. */
static int submit(struct stream *s, VkCommandBuffer command, uint32_t copies, uint32_t done)
{
    struct device *d = s->device;
    VkCommandBuffer commands[COPIES_MOST];
    for (uint32_t i = 0; i < copies; i++)
        commands[i] = command;
    if (s->submitted >= SUBMITS_MAX)
        TRY(wait_value(s, s->submitted - SUBMITS_MAX + 1));
    uint64_t value = s->submitted + 1;
    VkTimelineSemaphoreSubmitInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = &value,
    };
    VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = &timeline,
        .commandBufferCount = copies,
        .pCommandBuffers = commands,
        .signalSemaphoreCount = 1,
        .pSignalSemaphores = &s->timeline,
    };
    TRY(device_submit(d, &info, VK_NULL_HANDLE));
    s->steps += done;
    s->endings[s->submitted % SUBMITS_MAX] = (struct ending){value, s->steps};
    s->submitted = value;
    return 0;
}

static int check_recorded(const struct stream *s)
{
    return s->recorded ? 0 : fail(ERR_INPUT, "a stream was submitted before it was recorded");
}

int stream_submit(struct stream *s)
{
    TRY(check_recorded(s));
    if (s->device->compile_only)
        return 0;
    for (uint32_t i = 0; i < s->segment_count; i++)
        TRY(submit(s, s->segments[i], 1, i + 1 == s->segment_count));
    return 0;
}

int stream_repeat(struct stream *s, uint32_t times, uint32_t at_once)
{
    TRY(check_recorded(s));
    if (s->device->compile_only)
        return 0;
    at_once = at_once < 1 || s->segment_count > 1 ? 1 : at_once > COPIES_MOST ? COPIES_MOST : at_once;
    while (times > 0) {
        uint32_t copies = times < at_once ? times : at_once;
        if (copies > 1)
            TRY(submit(s, s->segments[0], copies, copies));
        else
            TRY(stream_submit(s));
        times -= copies;
    }
    return 0;
}

int stream_submit_timed(struct stream *s, double *seconds)
{
    TRY(check_recorded(s));
    for (uint32_t i = 0; i < s->segment_count; i++)
        seconds[i] = 0;
    if (s->device->compile_only)
        return 0;
    TRY(stream_wait(s, 0));
    for (uint32_t i = 0; i < s->segment_count; i++) {
        double start = clock_seconds();
        TRY(submit(s, s->segments[i], 1, i + 1 == s->segment_count));
        TRY(wait_value(s, s->submitted));
        seconds[i] = clock_seconds() - start;
    }
    return 0;
}

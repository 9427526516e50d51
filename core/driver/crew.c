/* crew.c - how studies run on this machine: see struct crew in study_source.h. */
#include "study_source.h"

#include "device.h"
#include "machine.h"
#include "processors.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEVICES_MOST = 32 };

/* On a software driver each worker gets its share of the processors: single-threaded workers side by side are
 * faster on small models than one with many threads. */
static void crew_of_processors(struct crew *c, const struct settings *s, const struct device_info *device,
                               int32_t index)
{
    const int processors = (int)processor_count(INT_MAX);
    const int threads_told = getenv("LP_NUM_THREADS") != NULL;
    c->workers = s->jobs ? s->jobs : processors > CREW_MOST ? CREW_MOST : processors;
    const int threads = processors / c->workers > 1 ? processors / c->workers : 1;
    for (int i = 0; i < c->workers; i++)
        c->devices[i] = index;
    if (!threads_told && device->is_llvmpipe) {
        snprintf(c->threads, sizeof c->threads, "LP_NUM_THREADS=%d", threads);
        c->environment[0] = c->threads;
    }
    snprintf(c->text, sizeof c->text, "%d worker%s of %d thread%s on %.80s", c->workers,
             c->workers == 1 ? "" : "s", threads, threads == 1 ? "" : "s", device->name);
}

static int find_program(struct crew *c)
{
    const char *launcher = getenv("VITRO_LAUNCHER"), *told = getenv("VITRO_EXE");
    int n = 0;
    if (told && *told) {
        snprintf(c->program, sizeof c->program, "%s", told);
    } else {
        const ssize_t length = readlink("/proc/self/exe", c->program, sizeof c->program - 1);
        if (length <= 0)
            return fail(
                ERR_IO,
                "/proc/self/exe cannot be read, so workers cannot be started; set VITRO_EXE to the program");
        c->program[length] = 0;
    }
    if (launcher && *launcher) {
        snprintf(c->launcher, sizeof c->launcher, "%s", launcher);
        c->command[n++] = c->launcher;
    }
    c->command[n++] = c->program;
    c->command[n] = "trial";
    return 0;
}

int crew_find(struct crew *c, const struct settings *s)
{
    struct device_info *infos = calloc(DEVICES_MOST, sizeof *infos);
    *c = (struct crew){0};
    if (!infos)
        return fail(ERR_MEMORY, "out of memory for a list of devices");
    int count = device_list(infos, DEVICES_MOST), rc = count < 0 ? count : 0;
    const int first = s->device >= 0 ? s->device : 0;
    if (rc == 0 && first >= (count < DEVICES_MOST ? count : DEVICES_MOST))
        rc = count ? fail(ERR_DEVICE, "there is no device %d; `vitro devices` lists %d", first, count)
                   : fail(ERR_DEVICE,
                          "this machine has no Vulkan device; scripts/setup.sh installs a software driver");
    if (rc == 0 && (s->tuning ? strcmp(s->tuning, "off") != 0 : 1)) {
        if (s->tuning)
            snprintf(c->tuning, sizeof c->tuning, "%s", s->tuning);
        else if (tuning_path(&infos[first], c->tuning, sizeof c->tuning) < 0)
            c->tuning[0] = 0;
    }
    if (rc == 0 && infos[first].is_cpu) {
        crew_of_processors(c, s, &infos[first], first);
    } else if (rc == 0) {
        int gpus = 0; /* one worker each, unless one device was asked for */
        for (int i = 0; i < count && i < DEVICES_MOST; i++)
            if (!infos[i].is_cpu && (s->device < 0 || i == s->device))
                c->devices[gpus++] = i;
        c->workers = s->jobs ? s->jobs : gpus;
        for (int i = gpus; i < c->workers && i < CREW_MOST; i++)
            c->devices[i] = c->devices[i % gpus];
        snprintf(c->text, sizeof c->text, "%d worker%s on %d device%s, the first %.80s", c->workers,
                 c->workers == 1 ? "" : "s", gpus, gpus == 1 ? "" : "s", infos[first].name);
    }
    free(infos);
    return rc < 0 ? rc : find_program(c);
}

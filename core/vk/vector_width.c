/* vector_width.c - how wide lavapipe's vectors shall be, and that its compiled kernels fit them.
 *
 * Mesa's lavapipe compiles kernels for 256-bit vectors (subgroups of 8) unless LP_NATIVE_VECTOR_WIDTH says
 * otherwise, even on a processor with 512-bit ones. Measured on such a processor, 512 bits are 1.2 times
 * faster on Mesa 26, equal on 25.0 and half as fast on 22.3: the driver's version decides, which is known
 * only once it is loaded. Measured on 22.3.6 and 26.1.6:
 *
 * - A new instance reads the variable again when it enumerates its devices, on 22.3 only after the driver
 *   was unloaded with its last instance. So we can look first and open a second instance, which takes
 *   1.5 ms on 26 and 15 ms on 22.3.
 * - The width is one global of the driver. An instance opened later with another width, or the first
 *   compilation with another value in the environment, changes the code of devices that are already open,
 *   while they go on reporting the old subgroup size. So the variable is set once and stays set.
 * - Mesa's disk cache does not know the width: on 22.3 code compiled for one is run at the other, with
 *   wrong subgroups. So each width gets its own cache folder.
 *
 * The user's own LP_NATIVE_VECTOR_WIDTH always wins; VITRO_VECTOR_WIDTH=128|256|512 overrides our choice.
 * Worker processes inherit the variables and find nothing left to do. */
#include "vk_private.h"

#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of lavapipe's driverVersion, which is Mesa's version on 26; on 22.3 it is 1. */
static const uint32_t first_fast_mesa = VK_MAKE_API_VERSION(0, 26, 0, 0);

static const char *const width_variable = "LP_NATIVE_VECTOR_WIDTH";
static const char *const cache_variable = "MESA_SHADER_CACHE_DIR";

/* 0 when the choice is ours. */
static int asked_width(int *bits)
{
    static const char *const allowed[] = {"128", "256", "512"};
    const char *asked = getenv("VITRO_VECTOR_WIDTH");
    *bits = 0;
    if (!asked || !*asked)
        return 0;
    for (int i = 0; i < 3; i++) {
        if (strcmp(asked, allowed[i]) == 0) {
            *bits = 128 << i;
            return 0;
        }
    }
    return fail(ERR_INPUT, "the environment's VITRO_VECTOR_WIDTH is '%.40s'; it must be 128, 256 or 512",
                asked);
}

/* Linux lists the processor's features as words; elsewhere the answer is no. */
static int processor_has_avx512(void)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f)
        return 0;
    char line[8192];
    int has = 0;
    while (!has && fgets(line, sizeof line, f)) {
        if (strncmp(line, "flags", 5) == 0) {
            has = strstr(line, " avx512f") && strstr(line, " avx512bw") && strstr(line, " avx512dq");
            break;
        }
    }
    fclose(f);
    return has;
}

static int set_variable(const char *name, const char *value)
{
    return setenv(name, value, 1) == 0
               ? 0
               : fail(ERR_MEMORY, "out of memory: the environment cannot hold %s", name);
}

/* Appends a folder for the width to the user's folder for Mesa's cache, or to our own cache folder.
 * 1 when something changed. */
static int separate_cache(int bits)
{
    char base[768], path[800], suffix[32];
    const char *users = getenv(cache_variable);
    snprintf(suffix, sizeof suffix, "/lavapipe-%d", bits);
    size_t length = users ? strlen(users) : 0, tail = strlen(suffix);
    if (length >= tail && strcmp(users + length - tail, suffix) == 0)
        return 0;
    int rc = 0;
    if (length > 0 && length < sizeof base)
        memcpy(base, users, length + 1);
    else
        rc = file_cache_folder(base, sizeof base);
    snprintf(path, sizeof path, "%s%s", base, suffix);
    if (rc == 0)
        rc = file_make_folders(path);
    /* Without a folder of its own, a width does without the cache: slower to start, never wrong. */
    TRY(rc == 0 ? set_variable(cache_variable, path) : set_variable("MESA_SHADER_CACHE_DISABLE", "true"));
    return 1;
}

int vector_width_settle(const struct device_info *lavapipe, int *bits)
{
    int now = 32 * (int)lavapipe->subgroup_size;
    TRY(asked_width(bits));
    if (getenv(width_variable)) {
        *bits = now; /* the user's, or set by us before */
        return separate_cache(now);
    }
    if (*bits == 0)
        *bits =
            now < 512 && lavapipe->driver_version >= first_fast_mesa && processor_has_avx512() ? 512 : now;
    char text[16];
    snprintf(text, sizeof text, "%d", *bits);
    TRY(set_variable(width_variable, text));
    TRY(separate_cache(*bits));
    return 1;
}

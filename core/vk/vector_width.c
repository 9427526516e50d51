/* vector_width.c - how wide lavapipe's vectors shall be.
 *
 * Mesa's lavapipe compiles kernels for 256-bit vectors (subgroups of 8) unless
 * LP_NATIVE_VECTOR_WIDTH says otherwise, even on a processor with 512-bit ones. Measured on an AVX-512
 * processor: 512 bits are 1.2 times faster on Mesa 26 and half as fast on Mesa 22.3. So the driver's
 * version decides, which is known only once it is loaded. Measured on Mesa 22.3.6 and 26.1.6:
 * the variable is read again by every VkInstance that enumerates its devices (within 1.5 ms on the second
 * time), and not afterwards. instance_open therefore looks first, and opens a second instance with the
 * variable set where that helps; it takes the variable back as soon as the devices are enumerated.
 *
 * The user's own LP_NATIVE_VECTOR_WIDTH always wins; VITRO_VECTOR_WIDTH=128|256|512 overrides our choice. */
#include "vk_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of lavapipe's driverVersion, which has been Mesa's version since 25; before it was 1. */
static const uint32_t first_fast_mesa = VK_MAKE_API_VERSION(0, 26, 0, 0);

int vector_width_asked(int *bits)
{
    *bits = 0;
    if (getenv("LP_NATIVE_VECTOR_WIDTH")) {
        *bits = -1;
        return 0;
    }
    const char *asked = getenv("VITRO_VECTOR_WIDTH");
    if (!asked || !*asked)
        return 0;
    static const char *const allowed[] = {"128", "256", "512"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(asked, allowed[i]) == 0) {
            *bits = 128 << i;
            return 0;
        }
    }
    return fail(ERR_INPUT, "the environment's VITRO_VECTOR_WIDTH is '%.40s'; it must be 128, 256 or 512", asked);
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

int vector_width_wide_helps(const struct device_info *info)
{
    return info->is_llvmpipe && info->subgroup_size < 16 && info->driver_version >= first_fast_mesa
           && processor_has_avx512();
}

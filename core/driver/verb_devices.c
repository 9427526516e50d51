/* verb_devices.c - `vitro devices`: which Vulkan devices there are, and which of them can be used. */
#include "device.h"
#include "driver.h"
#include "table.h"

#include <stdio.h>

enum { DEVICE_LIMIT = 32 };

static const struct column columns[] = {{"index", "device", FORM_WHOLE},
                                        {"name", "name", FORM_TEXT},
                                        {"kind", "kind", FORM_TEXT},
                                        {"driver", "driver", FORM_TEXT},
                                        {"vulkan", "Vulkan", FORM_TEXT},
                                        {"memory_bytes", "memory", FORM_BYTES},
                                        {"subgroup", "subgroup", FORM_WHOLE},
                                        {"fp16", "fp16", FORM_YES},
                                        {"cooperative_matrices", "matrices", FORM_YES},
                                        {"usable", "usable", FORM_YES},
                                        {0}};

static int describe(struct json *row, int index, const struct device_info *info)
{
    char version[32];
    snprintf(version, sizeof version, "%u.%u.%u", info->api_version >> 22 & 0x7f,
             info->api_version >> 12 & 0x3ff, info->api_version & 0xfff);
    TRY(json_set_integer(row, "index", index));
    TRY(json_set_string(row, "name", info->name));
    TRY(json_set_string(row, "kind", info->is_cpu ? "CPU" : "GPU"));
    TRY(json_set_string(row, "driver", info->driver));
    TRY(json_set_string(row, "vulkan", version));
    TRY(json_set_number(row, "memory_bytes", (double)info->heap_bytes));
    TRY(json_set_integer(row, "subgroup", info->subgroup_size));
    TRY(json_set_bool(row, "fp16", info->has_fp16));
    TRY(json_set_bool(row, "cooperative_matrices", info->has_coopmat));
    struct device *device = NULL;
    const struct device_spec spec = {.index = index};
    int rc = device_open(&device, &spec);
    device_close(device);
    TRY(json_set_bool(row, "usable", rc == 0));
    return rc < 0 ? json_set_string(row, "refusal", error_text()) : 0;
}

static int list(struct json *document)
{
    struct device_info infos[DEVICE_LIMIT];
    int count = device_list(infos, DEVICE_LIMIT);
    TRY(count);
    if (count == 0)
        return fail(ERR_DEVICE,
                    "there is no Vulkan device; install a driver (mesa-vulkan-drivers runs on the "
                    "CPU alone)");
    struct json *rows = json_set_array(document, "devices");
    for (int i = 0; i < count && i < DEVICE_LIMIT; i++)
        TRY(describe(json_append_object(rows), i, &infos[i]));
    return 0;
}

static int print(const struct json *document, const struct settings *s)
{
    const struct json *rows = json_get(document, "devices");
    if (s->json)
        return json_print(document);
    table_print(rows, columns);
    for (const struct json *row = json_first(rows); row; row = json_next(row))
        if (json_get(row, "refusal"))
            printf("\nnot usable: %s\n", json_string(json_get(row, "refusal")));
    return 0;
}

static int run(const struct settings *s)
{
    struct json *document = json_object();
    int rc = list(document);
    if (rc == 0)
        rc = print(document, s);
    json_destroy(document);
    return rc;
}

static const struct argument_group *const groups[] = {&group_json, &group_general, NULL};
const struct verb verb_devices = {
    .name = "devices",
    .summary = "which Vulkan devices there are",
    .synopsis = "[--json]",
    .about =
        "Lists the Vulkan devices of this machine, best first, and says of each whether its driver offers "
        "what the kernels need. The number is what --device takes elsewhere.",
    .examples = {"vitro devices", "vitro devices --json"},
    .groups = groups,
    .run = run,
};

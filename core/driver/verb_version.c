/* verb_version.c - `vitro version`. */
#include "driver.h"
#include "plugin.h"
#include "table.h"

#include <stdio.h>

static int run(const struct settings *s)
{
    if (!s->json) {
        printf("vitro %s\nplugin contract %d.%d\n", VITRO_VERSION, VITRO_ABI_MAJOR, VITRO_ABI_MINOR);
        return 0;
    }
    char contract[32];
    snprintf(contract, sizeof contract, "%d.%d", VITRO_ABI_MAJOR, VITRO_ABI_MINOR);
    struct json *document = json_object();
    int rc = json_set_string(document, "vitro", VITRO_VERSION);
    if (rc == 0)
        rc = json_set_string(document, "plugin_contract", contract);
    if (rc == 0)
        rc = json_print(document);
    json_destroy(document);
    return rc;
}

static const struct argument_group *const groups[] = {&group_json, &group_general, NULL};
const struct verb verb_version = {
    .name = "version",
    .summary = "this program's version and that of the plugin contract it speaks",
    .synopsis = "[--json]",
    .about =
        "Prints the version of the program and the version of the plugin contract (include/vitro/method.h) "
        "that it speaks: a plugin of the same major and an equal or lower minor version can be loaded.",
    .examples = {"vitro version", "vitro version --json"},
    .groups = groups,
    .run = run,
};

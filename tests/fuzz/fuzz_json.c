/* fuzz_json.c - JSON: what is read and written again is read as the same. */
#include "fuzz.h"

#include "json.h"
#include "memory.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct json *j = NULL, *again = NULL;
    if (json_parse(&j, (const char *)bytes, size, "fuzz") < 0)
        return 0;
    char *text = json_canonical(j);
    if (text && json_parse(&again, text, strlen(text), "again") == 0) {
        char *second = json_canonical(again);
        if (second && strcmp(text, second) != 0)
            __builtin_trap();
        mem_free(second);
    }
    mem_free(text);
    json_destroy(again);
    json_destroy(j);
    return 0;
}

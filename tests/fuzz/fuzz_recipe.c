/* fuzz_recipe.c - a study's recipe, from its text on. */
#include "fuzz.h"

#include "study.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct json *j = NULL;
    struct study *study = NULL;
    if (json_parse(&j, (const char *)bytes, size, "fuzz") < 0)
        return 0;
    if (study_parse(&study, j, "fuzz") == 0)
        study_destroy(study);
    json_destroy(j);
    return 0;
}

/* fuzz_safetensors.c - a safetensors file from memory, every tensor of it read. */
#include "fuzz.h"

#include "safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct safetensors *f = NULL;
    if (safetensors_view(&f, bytes, size, "fuzz") < 0)
        return 0;
    for (size_t i = 0; i < safetensors_count(f); i++) {
        const struct safetensors_entry *e = safetensors_at(f, i);
        float *out = malloc((e->count + 1) * sizeof *out);
        if (out && safetensors_find(f, e->name) == e)
            (void)safetensors_read(f, e, SAFETENSORS_F32, out);
        free(out);
    }
    safetensors_close(f);
    return 0;
}

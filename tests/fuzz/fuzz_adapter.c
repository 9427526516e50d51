/* fuzz_adapter.c - an adapter of peft's for a small model: two bytes of length (little-endian, cut to what is left), the
 * configuration, and the file of tensors. peft reads folders, so both are written to one. */
#include "fuzz.h"

#include "peft.h"

#include <stdio.h>
#include <stdlib.h>

static char folder[] = "/tmp/vitro-fuzz-XXXXXX", config[64], tensors[64];
static struct vit *model;

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f))
        abort();
}

/* The model of tests/reference/golden/peft, whose adapters are the corpus. */
static void prepare(void)
{
    const struct vit_shape shape = {
        .image = 32, .patch = 8, .dim = 24, .depth = 2, .heads = 3, .hidden = 96, .classes = 7, .eps = 1e-6f};
    if (vit_create(&model, &shape) < 0 || !mkdtemp(folder))
        abort();
    vit_random(model, 1);
    snprintf(config, sizeof config, "%s/adapter_config.json", folder);
    snprintf(tensors, sizeof tensors, "%s/adapter_model.safetensors", folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct peft_adapter *a = NULL;
    if (size < 2)
        return 0;
    if (!model)
        prepare();
    size_t length = (size_t)bytes[0] | (size_t)bytes[1] << 8;
    bytes += 2, size -= 2;
    length = length < size ? length : size;
    write_file(config, bytes, length);
    write_file(tensors, bytes + length, size - length);
    if (peft_open(&a, folder, model) == 0 && !*peft_method(a))
        __builtin_trap();
    peft_close(a);
    return 0;
}

/* peft.c - see peft.h: a folder opened, and what is known of it. */
#include "peft.h"

#include "adapter.h"
#include "error.h"
#include "file.h"

#include <stdio.h>

/* peft's own file, or the pickle that older versions wrote. */
static int find_tensors(const char *folder, char *path, size_t size)
{
    snprintf(path, size, "%s/adapter_model.safetensors", folder);
    if (file_exists(path))
        return 0;
    snprintf(path, size, "%s/adapter_model.bin", folder);
    return file_exists(path)
               ? 0
               : fail(ERR_INPUT, "%s: neither adapter_model.safetensors nor adapter_model.bin is there",
                      folder);
}

static int read_adapter(struct peft_adapter *a, const char *folder, const struct vit *vit)
{
    struct json *config = NULL;
    char config_path[4096], tensors_path[4096];
    int rc;
    TRY(peft_prepare(a, vit, folder));
    snprintf(config_path, sizeof config_path, "%s/adapter_config.json", folder);
    TRY_OUT(json_read_file(&config, config_path));
    TRY_OUT(find_tensors(folder, tensors_path, sizeof tensors_path));
    TRY_OUT(peft_config_read(a, config, config_path));
    TRY_OUT(peft_tensors_read(a, tensors_path));
    TRY_OUT(peft_config_check_layers(a, config, config_path));
    rc = peft_choose(a);
out:
    json_destroy(config);
    return rc;
}

int peft_open(struct peft_adapter **out, const char *folder, const struct vit *vit)
{
    struct peft_adapter *a = mem_alloc(1, sizeof *a);
    int rc = a ? read_adapter(a, folder, vit) : ERR_MEMORY;
    if (rc < 0)
        peft_close(a);
    else
        *out = a;
    return rc;
}

void peft_close(struct peft_adapter *a)
{
    if (!a)
        return;
    arena_finish(&a->arena);
    mem_free(a);
}

const char *peft_method(const struct peft_adapter *a)
{
    return a->method;
}

const char *peft_type(const struct peft_adapter *a)
{
    return peft_types[a->type].name;
}

enum peft_names peft_names_of(const struct peft_adapter *a)
{
    return a->names;
}

int peft_has_head(const struct peft_adapter *a)
{
    return a->head_weight.data != NULL;
}

const char *peft_hash(const struct peft_adapter *a)
{
    return a->hash;
}

const char *peft_left(const struct peft_adapter *a)
{
    return a->left;
}

/* peft.h - trained methods as Hugging Face peft keeps them, a folder with adapter_model.safetensors and
 * adapter_config.json, out and in. Layout and formulas are those of peft 0.21.
 *
 *     out: method_declare -> peft_export
 *     in:  peft_open -> peft_method -> method_create, method_declare -> peft_fill
 *
 * Tensors are arrays of the caller's, one for each of method_tensors. */
#ifndef VITRO_PEFT_PEFT_H
#define VITRO_PEFT_PEFT_H

#include "host.h"

/* Whose names the layers have: id, what it is called, what it is */
#define PEFT_NAMES(X)                                                                               \
    X(TIMM, "timm", "timm: blocks.0.attn.qkv, query, key and value as one layer")                   \
    X(HF, "hf",                                                                                     \
      "ViTForImageClassification of transformers 4: vit.encoder.layer.0.attention.attention.query") \
    X(HF5, "hf5", "ViTForImageClassification of transformers 5: vit.layers.0.attention.q_proj")
enum peft_names {
#define X(id, name, what) PEFT_NAMES_##id,
    PEFT_NAMES(X)
#undef X
        PEFT_NAMES_COUNT
};
extern const char *const peft_names[]; /* "timm", ended by NULL */

/* Writes the folder, making it where it is missing. `method` is declared; values[i] is tensor i of its list. Refuses
 * by name a method that peft has not, and what these names cannot say. `base`: what the adapter is for, as peft's
 * base_model_name_or_path; NULL: not said. */
int peft_export(const struct method *method, const struct vit *vit, const float *const *values,
                enum peft_names names, const char *base, const char *folder);

struct peft_adapter; /* a folder that was read */
/* Reads an adapter for the model `vit` of as many classes as the adapter's head has. Every tensor that is missing, left
 * over or misshapen and every option that is not known to be harmless is refused by its name. */
int peft_open(struct peft_adapter **out, const char *folder, const struct vit *vit);
void peft_close(struct peft_adapter *a); /* NULL is fine */

const char *peft_method(const struct peft_adapter *a); /* "lora[r=8,alpha=16,dropout=0,targets=qv]" */
const char *peft_type(const struct peft_adapter *a);   /* "LORA" */
enum peft_names peft_names_of(const struct peft_adapter *a);
int peft_has_head(const struct peft_adapter *a);
const char *peft_hash(const struct peft_adapter *a); /* SHA-256 of its tensors' file */
/* What of its configuration concerned training alone and has no place in the method: "module_dropout = 0.1"; or "". */
const char *peft_left(const struct peft_adapter *a);

/* Writes what the adapter says into the values of the method that peft_method made, declared on the same model; the
 * others stay. */
int peft_fill(struct peft_adapter *a, const struct method *method, float *const *values);

#endif

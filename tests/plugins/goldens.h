/* goldens.h - which methods tests/reference/golden/methods/ holds, and under what names. */
#ifndef GOLDENS_H
#define GOLDENS_H

#include "host.h"

#include <stdio.h>
#include <string.h>

static const struct golden {
    const char *key, *text;
} goldens[] = {
    {"linear", "linear"},
    {"full", "full"},
    {"bitfit", "bitfit"},
    {"lora", "lora[r=4,alpha=6,dropout=0]"},
    {"lora_all", "lora[r=3,alpha=5,rslora=true,targets=all,dropout=0]"},
    {"lora_qv", "lora[r=5,targets=qv,dropout=0]"},
    {"pissa", "pissa[r=4,alpha=6]"},
    {"pissa_mlp", "pissa[r=3,targets=mlp]"},
    {"adalora", "adalora[r=5,target_r=3,alpha=7,orthogonality=0,dropout=0]"},
    {"gps", "gps"},
    {"gps_three", "gps[k=3]"},
    {"ssf", "ssf"},
    {"vpt_deep", "vpt[prompts=5,dropout=0]"},
    {"vpt_propagate", "vpt[prompts=5,mode=shallow,dropout=0]"},
    {"vpt_first_block", "vpt[prompts=5,mode=first_block,dropout=0]"},
    {"adaptformer", "adaptformer[r=5,scale=0.4,dropout=0]"},
    {"layernorm", "layernorm"},
    {"difffit", "difffit"},
    {"selective_attention", "selective[part=attention,blocks=2]"},
    {"selective_mlp", "selective[part=mlp,blocks=1]"},
    {"selective_block", "selective[part=block,blocks=1]"},
    {"selective_qkv", "selective[part=qkv,blocks=1]"},
    {"selective_fc2", "selective[part=fc2,blocks=1]"},
    {"fact_tt", "fact_tt[r=3,scale=0.7,dropout=0]"},
    {"fact_tk", "fact_tk[r=5,scale=0.7,dropout=0]"},
    {"houlsby", "houlsby[r=5,scale=0.4,dropout=0]"},
    {"pfeiffer", "pfeiffer[r=5,scale=0.4,dropout=0]"},
    {"repadapter", "repadapter[r=4,groups=2,scale=0.7,dropout=0]"},
    {"repadapter_groups", "repadapter[r=6,groups=3,scale=0.4,dropout=0]"},
    {"convpass", "convpass[r=5,scale=0.6,dropout=0]"},
    {"arc", "arc[r=5,dropout=0]"},
    {"adapter_plus", "adapter_plus[r=5,drop_path=0]"},
    {"dora", "dora[r=4,alpha=6,dropout=0]"},
    {"vera", "vera[r=10]"},
    {"loha", "loha[r=5,alpha=8]"},
    {"loha_qv", "loha[r=3,target=qv]"},
    {"lokr", "lokr[r=3,alpha=5]"},
    {"lokr_full", "lokr[r=6]"},
    {"lokr_qv", "lokr[r=2,alpha=3,target=qv]"},
    {"oft", "oft[block=8]"},
    {"oft_exact", "oft[block=6,cayley=exact]"},
    {"boft", "boft[block=4,factors=2]"},
    {"boft_small", "boft[block=2,factors=3]"},
    {"ia3", "ia3"},
    {"vqt", "vqt[queries=5,dropout=0]"},
};

/* The file of a key: what make_methods_golden.py wrote of that method; "model": backbone, images, labels. */
static inline void golden_path(const char *folder, const char *key, char *out, size_t size)
{
    snprintf(out, size, "%s/methods/%s.safetensors", folder, key);
}

/* "lora/1/b" is "WHAT/b/1" in its file, "ssf/scale.NORM" is "WHAT/scale.NORM"; a backbone tensor is
 * "model/NAME" in the model's file, its gradient "grad/NAME" in the method's. */
static inline void golden_name(const char *what, const struct tensor *t, char *out, size_t size)
{
    const char *last = strrchr(t->name, '/');
    if (t->owner < 0)
        snprintf(out, size, "%s/%s", strcmp(what, "param") ? what : "model", t->name);
    else if (t->block < 0)
        snprintf(out, size, "%s/%s", what, last + 1);
    else
        snprintf(out, size, "%s/%s/%d", what, last + 1, t->block);
}

#endif

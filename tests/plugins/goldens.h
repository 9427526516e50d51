/* goldens.h - which methods tests/reference/golden/methods.safetensors holds, and under what names. */
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
    {"ssf", "ssf"},
    {"vpt_deep", "vpt[prompts=5,dropout=0]"},
    {"vpt_propagate", "vpt[prompts=5,mode=shallow,dropout=0]"},
    {"vpt_first_block", "vpt[prompts=5,mode=first_block,dropout=0]"},
    {"adaptformer", "adaptformer[r=5,scale=0.4,dropout=0]"},
};

/* "lora/1/b" is "lora/<what>/b/1" in the file, "ssf/scale.NORM" is "ssf/<what>/scale.NORM", and a
 * backbone tensor has its own name. */
static inline void golden_name(const char *key, const char *what, const struct tensor *t, char *out, size_t size)
{
    const char *last = strrchr(t->name, '/');
    if (t->owner < 0 && !strcmp(what, "param"))
        snprintf(out, size, "model/%s", t->name);
    else if (t->owner < 0)
        snprintf(out, size, "%s/%s/%s", key, what, t->name);
    else if (t->block < 0)
        snprintf(out, size, "%s/%s/%s", key, what, last + 1);
    else
        snprintf(out, size, "%s/%s/%s/%d", key, what, last + 1, t->block);
}

#endif

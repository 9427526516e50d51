/* all_methods.h - every shipped method, for tests that go over all of them: with whatever of it is drawn, and in stacks where
 * two can be one. */
#ifndef VITRO_TESTS_TRAIN_ALL_METHODS_H
#define VITRO_TESTS_TRAIN_ALL_METHODS_H

#include "train_world.h"

static const char *const methods[] = {
    "linear",
    "full",
    "bitfit+lora[r=4,dropout=0.3]",
    "pissa[r=4]",
    "adalora[r=3,target_r=2]",
    "gps+layernorm",
    "ssf",
    "vpt[prompts=3]",
    "vpt[prompts=3,mode=shallow]",
    "adaptformer[r=4]",
    "difffit",
    "selective[part=mlp,blocks=1]",
    "fact_tt[r=3]",
    "fact_tk[r=5]",
    "houlsby[r=5]",
    "pfeiffer[r=5]",
    "repadapter[r=6,groups=3]",
    "convpass[r=5]",
    "arc[r=5]",
    "adapter_plus[r=5]",
    "dora[r=4]",
    "vera[r=10]",
    "loha[r=5]",
    "lokr[r=3]",
    "oft[block=6,cayley=exact]",
    "boft[block=4,factors=2]",
    "ia3",
    "vqt[queries=5]",
};
enum { METHODS = sizeof methods / sizeof *methods };

/* SHIPPED: their names, each between two spaces. */
static inline void every_shipped_method_is_among_them(void **state)
{
    (void)state;
    char list[4096] = "", name[64];
    for (int i = 0; i < METHODS; i++) /* "a[r=2]+b" is " a b " of it */
        for (const char *at = methods[i]; *at;) {
            const size_t length = strcspn(at, "[+"), used = strlen(list);
            snprintf(list + used, sizeof list - used, " %.*s ", (int)length, at);
            at += length;
            at += *at == '[' ? strcspn(at, "]") + 1 : 0;
            at += *at == '+';
        }
    for (const char *at = SHIPPED; at[1]; at += strlen(name) - 1) {
        snprintf(name, sizeof name, " %.*s ", (int)strcspn(at + 1, " "), at + 1);
        if (!strstr(list, name))
            fail_msg("the method%sis not in the list", name);
    }
}

#endif

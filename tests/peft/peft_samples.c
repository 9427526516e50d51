/* peft_samples.c - writes every method that peft has as adapters of every kind of names, with the logits that they are
 * to give: peft_samples FOLDER. reference/make_peft_golden.py loads them in peft. */
#include "peft_world.h"

#include <stdlib.h>

static void write_logits(const char *folder, const double *logits)
{
    char path[1024];
    float single[PEFT_LOGITS];
    for (int i = 0; i < PEFT_LOGITS; i++)
        single[i] = (float)logits[i];
    const struct safetensors_item item = {"logits", SAFETENSORS_F32, 2, {TINY_BATCH, PEFT_CLASSES}, single};
    snprintf(path, sizeof path, "%s/logits.safetensors", folder);
    tiny_must(safetensors_write(path, &item, 1, NULL, 0));
}

int main(int count, char **words)
{
    if (count != 2) {
        fprintf(stderr, "usage: peft_samples FOLDER\n");
        return 2;
    }
    for (int i = 0; i < SAMPLES; i++)
        for (int n = 0; n < PEFT_NAMES_COUNT; n++) {
            struct peft_world w;
            double logits[PEFT_LOGITS];
            char folder[512];
            if (!(samples[i].says & (n == PEFT_NAMES_TIMM ? SAYS_FUSED : SAYS_APART)))
                continue;
            open_sample(&w, &samples[i]);
            logits_of(&w, logits);
            snprintf(folder, sizeof folder, "%s/%s_%s", words[1], peft_names[n], samples[i].key);
            if (peft_export(w.method, w.vit, (const float *const *)w.values.values, (enum peft_names)n, NULL,
                            folder) < 0) {
                fprintf(stderr, "%s: %s\n", folder, error_text());
                return 1;
            }
            write_logits(folder, logits);
            close_world(&w);
        }
    return 0;
}

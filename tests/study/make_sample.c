/* make_sample.c - prints the analysis of a synthetic panel as JSON, for those who write or try what shows it:
 * nine methods, three packs, two seeds, one cell diverged. `make_sample sealed` seals the test split, `make_sample
 * METHODS PACKS SEEDS CLASSES IMAGES` makes another size, whole. */
#include "analysis.h"
#include "error.h"
#include "panel_maker.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    struct panel_plan plan = {
        .methods = 9,
        .packs = 3,
        .seeds = 2,
        .classes = 10,
        .val_images = 200,
        .test_images = 500,
        .accuracy = {0.62, 0.70, 0.71, 0.74, 0.74, 0.68, 0.73, 0.76, 0.72, 0.69, 0.70, 0.75},
        .pack_shift = -0.04,
        .by_image = 0.5,
        .by_method = 0.25,
        .same_mistake = 0.4,
        .seed = 1};
    uint32_t *const sizes[] = {&plan.methods, &plan.packs, &plan.seeds, NULL, &plan.test_images};
    for (int i = 0; argc == 6 && i < 5; i++) {
        long value = strtol(argv[i + 1], NULL, 10);
        if (value < 1 || value > 1000000 || (i == 0 && value > MAKER_METHODS)) {
            fprintf(stderr, "make_sample: %s is not a size\n", argv[i + 1]);
            return 2;
        }
        if (sizes[i])
            *sizes[i] = (uint32_t)value;
        else
            plan.classes = (int32_t)value;
    }
    struct made_panel made;
    struct json *document = NULL;
    struct analysis_options options = analysis_default;
    options.version = "0.0.0-sample";
    options.created = "2026-11-23T07:00:00Z";
    panel_make(&made, &plan);
    if (argc < 6)
        panel_spoil(&made, 5, 2, 1, PANEL_DIVERGED, "the loss became infinite at step 212");
    if (argc == 2 && strcmp(argv[1], "sealed") == 0)
        panel_seal(&made);
    int rc = analysis_build(&document, &made.panel, &options);
    char *text = rc == 0 ? json_text(document, argc == 1) : NULL;
    if (text)
        puts(text);
    else
        fprintf(stderr, "make_sample: %s\n", error_text());
    mem_free(text);
    json_destroy(document);
    arena_finish(&made.memory);
    return text ? 0 : 1;
}

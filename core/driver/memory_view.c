/* memory_view.c - see memory_view.h. */
#include "memory_view.h"

#include "memory.h"
#include "model_source.h"
#include "table.h"

#include <stdio.h>

static const struct column card[] = {{"device", "device", FORM_TEXT},
                                     {"method", "method", FORM_TEXT},
                                     {"together", "packed trials", FORM_TEXT},
                                     {"model", "model", FORM_TEXT},
                                     {"batch", "images a step", FORM_WHOLE},
                                     {"image", "image side", FORM_WHOLE},
                                     {"peak", "device memory at most", FORM_BYTES},
                                     {"budget", "there is", FORM_BYTES},
                                     {"missing", "missing", FORM_BYTES},
                                     {0}};
static const struct column columns[] = {
    {"what", "", FORM_TEXT}, {"bytes", "memory", FORM_BYTES}, {"share", "share", FORM_PERCENT}, {0}};
static const struct column alive_columns[] = {{"what", "", FORM_TEXT}, {"bytes", "memory", FORM_BYTES}, {0}};

struct foresee_spec memory_spec(const struct settings *s)
{
    return (struct foresee_spec){.recipe = &s->recipe,
                                 .inference = s->inference,
                                 .checkpoint_activations = s->checkpoint_activations,
                                 .feature_cache = s->feature_cache};
}

static int add_row(struct json *rows, const char *what, uint64_t bytes, uint64_t all)
{
    if (!bytes)
        return 0;
    struct json *row = json_append_object(rows);
    TRY(json_set_string(row, "what", what));
    TRY(json_set_integer(row, "bytes", (int64_t)bytes));
    return all ? json_set_number(row, "share", (double)bytes / (double)all) : 0;
}

static int describe_parts(struct json *rows, const struct foreseen *f)
{
    const struct {
        const char *what;
        uint64_t bytes;
    } parts[] = {{"frozen weights", f->bank.frozen},
                 {"frozen weights in other layouts", f->bank.layouts},
                 {"trainable tensors", f->bank.weights},
                 {"their gradients", f->bank.gradients},
                 {"the optimizer's two moments", f->bank.moments},
                 {"the optimizer's factors", f->bank.factors},
                 {"activations and gradients of activations, at their peak", f->run.activations},
                 {"constants and inputs", f->run.constants},
                 {"images and labels", f->images},
                 {"features kept of all images", f->features},
                 {"logs", f->run.logs},
                 {"order, learning rates, control", f->run.control}};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        TRY(add_row(rows, parts[i].what, parts[i].bytes, f->peak));
        sum += parts[i].bytes;
    }
    /* the features' own program is gone before the training's is there, so the sum may exceed the peak or not */
    return sum < f->peak
               ? add_row(rows, "alignment, and what is gone before the first step", f->peak - sum, f->peak)
               : 0;
}

static int describe(struct json *j, const struct trial *t, const struct settings *s, const struct foreseen *f)
{
    TRY(json_set_string(j, "device", device_info(t->machine->device)->name));
    TRY(json_set_string(j, "method", method_text(t->method)));
    TRY(json_set_string(j, "model", s->model ? s->model : bundled_name));
    TRY(json_set_integer(j, "batch", s->recipe.batch));
    TRY(json_set_integer(j, "image", t->vit->shape.image));
    TRY(json_set_integer(j, "peak", (int64_t)f->peak));
    TRY(json_set_integer(j, "budget", (int64_t)f->budget));
    if (f->peak > f->budget)
        TRY(json_set_integer(j, "missing", (int64_t)(f->peak - f->budget)));
    TRY(describe_parts(json_set_array(j, "parts"), f));
    struct json *alive = json_set_array(j, "alive_at_peak");
    for (uint32_t i = 0; i < f->alive_count; i++)
        TRY(add_row(alive, f->alive[i].text, f->alive[i].bytes, 0));
    return json_set_integer(j, "alive_at_peak_count", f->alive_all);
}

static int foresee_all(struct foreseen *f, const struct trial *t, const struct settings *s,
                       const struct foresee_spec *specs, uint32_t count, struct json *document)
{
    enum run_together together = RUN_AS_PAYS;
    struct session_spec *sessions = mem_alloc(count, sizeof *sessions);
    int rc = sessions ? 0 : ERR_MEMORY;
    for (uint32_t i = 0; i < count && sessions; i++)
        sessions[i] = (struct session_spec){.engine = t->machine->engine,
                                            .method = t[i].method,
                                            .vit = t[i].vit,
                                            .std = {1, 1, 1}, /* pixels' scale takes no memory */
                                            .seed = s->recipe.seed};
    if (rc == 0)
        rc = foresee_as_pays(f, sessions, specs, count, &together);
    mem_free(sessions);
    if (rc < 0 || count == 1)
        return rc;
    char text[64];
    snprintf(text, sizeof text, "%u, %s", count, together == RUN_IN_TURN ? "in turn" : "side by side");
    return json_set_string(document, "together", text);
}

int memory_show(const struct trial *t, const struct settings *s, const struct foresee_spec *specs,
                uint32_t count, struct json *document)
{
    struct foreseen f;
    TRY(foresee_all(&f, t, s, specs, count, document));
    TRY(describe(document, t, s, &f));
    if (s->json)
        return json_print(document);
    table_print_card(document, card);
    printf("\n");
    table_print(json_get(document, "parts"), columns);
    printf("\nWhen the activations are at their peak, the largest of %u that live:\n", f.alive_all);
    table_print(json_get(document, "alive_at_peak"), alive_columns);
    return 0;
}

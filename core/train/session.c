/* session.c - see session.h: creation, evaluation, gradients. */
#include "session.h"

#include "clock.h"
#include "error.h"
#include "memory.h"
#include "run.h"
#include "session_private.h"

#include <math.h>
#include <string.h>

static int fill_bank(struct session *s)
{
    size_t most = 0;
    for (size_t i = 0; i < s->count; i++) {
        size_t n = (size_t)shape_count(s->tensors[i].shape);
        most = n > most ? n : most;
    }
    if (device_rehearses(engine_device(s->spec.engine)))
        return 0;
    float *data = mem_alloc(most, sizeof *data);
    int rc = data ? 0 : ERR_MEMORY;
    for (size_t i = 0; i < s->count && rc == 0; i++) {
        if (bank_has_contents(s->bank, i))
            continue;
        rc = method_initial(s->spec.method, i, s->spec.seed, data);
        if (rc == 0)
            rc = bank_write(s->bank, i, data);
    }
    mem_free(data);
    return rc;
}

int session_bank(struct session *s)
{
    struct bank_tensor *tensors = mem_alloc(s->count, sizeof *tensors);
    if (!tensors)
        return ERR_MEMORY;
    for (size_t i = 0; i < s->count; i++) {
        const struct tensor *t = &s->tensors[i];
        int changes = t->kept || (s->unfrozen && s->unfrozen[i]);
        tensors[i] = (struct bank_tensor){.name = t->name,
                                          .shape = t->shape,
                                          .kind = changes ? LEAF_TRAINABLE : t->kind,
                                          .lr_mul = t->kept ? 0 : t->lr_mul, /* AdamW leaves it as it is */
                                          .no_decay = t->kept || t->no_decay,
                                          .shared = t->source == (int32_t)i,
                                          .number = s->halves && s->halves[i] ? s->spec.number : NUMBER_FP32};
    }
    int rc = bank_create_beside(&s->bank, s->spec.engine, tensors, s->count, s->spec.shared);
    mem_free(tensors);
    return rc;
}

int session_create(struct session **out, const struct session_spec *spec)
{
    int rc;
    struct session *s = mem_alloc(1, sizeof *s);
    if (!s)
        return ERR_MEMORY;
    s->spec = *spec;
    s->tensors = method_tensors(spec->method, &s->count);
    TRY_OUT(product_list_create(&s->asked));
    TRY_OUT(session_find_halves(s));
    TRY_OUT(session_bank(s));
    TRY_OUT(fill_bank(s));
    *out = s;
    s = NULL;
out:
    session_destroy(s);
    return rc;
}

int session_refill(struct session *s)
{
    TRY(session_bank(s));
    TRY(fill_bank(s));
    for (const struct told *t = s->told; t; t = t->next)
        TRY(bank_write(s->bank, t->tensor, t->data));
    return 0;
}

void session_destroy(struct session *s)
{
    if (!s)
        return;
    for (struct told *t = s->told, *next; t; t = next) {
        next = t->next;
        mem_free(t->data);
        mem_free(t);
    }
    bank_destroy(s->bank);
    product_list_destroy(s->asked);
    mem_free(s->halves);
    mem_free(s);
}

/* Rows 0 .. count - 1 in order, the last batch filled up with padding. */
static int32_t *rows_in_order(uint32_t count, uint32_t entries)
{
    int32_t *order = mem_alloc(entries, sizeof *order);
    for (uint32_t i = 0; order && i < entries; i++)
        order[i] = i < count ? (int32_t)i : RUN_PADDING;
    return order;
}

static int feed_images(struct session *s, const struct images *images, struct feed *feed)
{
    static const int32_t no_label = 0;
    int32_t *blank = NULL;
    if (images->count == 0)
        return fail(ERR_INPUT, "there are no images");
    if (!images->labels && !(blank = mem_alloc(images->count, sizeof no_label)))
        return ERR_MEMORY;
    int rc = feed_create(feed, s->spec.engine, images->rgb, images->labels ? images->labels : blank,
                         (int32_t)images->count, s->spec.vit->shape.image);
    mem_free(blank);
    return rc;
}

int session_products(const struct session *s, char digest[HASH_TEXT])
{
    return product_list_digest(s->asked, digest);
}

int session_compile(struct session *s, const struct recipe *recipe, uint32_t batch)
{
    int rc;
    struct feed feed = {0};
    struct run *run = NULL;
    const size_t side = (size_t)s->spec.vit->shape.image;
    unsigned char *blank = mem_alloc(side * side, 3);
    if (!blank)
        return ERR_MEMORY;
    const struct images one = {.rgb = blank, .count = 1};
    TRY_OUT(feed_images(s, &one, &feed));
    TRY_OUT(session_program(
        s,
        &(struct program_spec){
            .feed = &feed, .batch = batch, .series = 1, .recipe = recipe, .update = recipe != NULL},
        &run));
out:
    run_destroy(run);
    feed_destroy(&feed);
    mem_free(blank);
    return rc;
}

int session_logits(struct session *s, const struct images *images, uint32_t batch, float *logits,
                   double *seconds)
{
    int rc;
    struct feed feed = {0};
    struct run *run = NULL;
    int32_t *order = NULL;
    float *padded = NULL;
    size_t classes = (size_t)s->spec.vit->shape.classes;
    batch = batch < images->count ? batch : images->count;
    TRY_OUT(feed_images(s, images, &feed));
    uint32_t steps = (images->count + batch - 1) / batch;
    TRY_OUT(session_program(s, &(struct program_spec){.feed = &feed, .batch = batch, .series = steps}, &run));
    order = rows_in_order(images->count, steps * batch);
    padded = mem_alloc((size_t)steps * batch * classes, sizeof *padded);
    if (!order || !padded) {
        rc = ERR_MEMORY;
        goto out;
    }
    TRY_OUT(run_begin(run, &(struct run_series){.steps = steps, .order = order}));
    double start = clock_seconds();
    TRY_OUT(run_go(run, steps));
    TRY_OUT(run_wait(run, 0));
    if (seconds)
        *seconds = clock_seconds() - start;
    TRY_OUT(run_log(run, 0, 0, steps, padded));
    memcpy(logits, padded, images->count * classes * sizeof *logits);
out:
    mem_free(padded);
    mem_free(order);
    run_destroy(run);
    feed_destroy(&feed);
    return rc;
}

int session_gradients(struct session *s, const struct images *batch, float *loss)
{
    int rc;
    struct feed feed = {0};
    struct run *run = NULL;
    struct recipe recipe = recipe_default;
    int32_t *order = rows_in_order(batch->count, batch->count);
    if (!order)
        return ERR_MEMORY;
    recipe.drop_path = 0;
    TRY_OUT(feed_images(s, batch, &feed));
    TRY_OUT(session_program(
        s, &(struct program_spec){.feed = &feed, .batch = batch->count, .series = 1, .recipe = &recipe},
        &run));
    TRY_OUT(run_begin(run, &(struct run_series){.steps = 1, .seed = s->spec.seed, .order = order}));
    TRY_OUT(run_go(run, 1));
    TRY_OUT(run_wait(run, 0));
    TRY_OUT(run_log(run, 0, 0, 1, loss));
out:
    mem_free(order);
    run_destroy(run);
    feed_destroy(&feed);
    return rc;
}

int session_gradient(struct session *s, size_t tensor, float *out)
{
    return bank_read_gradient(s->bank, tensor, out);
}

int session_tensor(struct session *s, size_t tensor, float *out)
{
    return bank_read(s->bank, tensor, out);
}

/* What training changes is in every checkpoint; the rest is kept here, for a device that can be lost. */
static int keep_told(struct session *s, size_t tensor, const float *data)
{
    const struct tensor *t = &s->tensors[tensor];
    const size_t count = (size_t)shape_count(t->shape);
    struct told *told = s->told;
    if (t->kind == LEAF_TRAINABLE || t->kept || !device_can_be_lost(engine_device(s->spec.engine)))
        return 0;
    while (told && told->tensor != tensor)
        told = told->next;
    if (!told) {
        if (!(told = mem_alloc(1, sizeof *told)))
            return ERR_MEMORY;
        *told = (struct told){.next = s->told, .tensor = tensor, .data = mem_alloc(count, sizeof *data)};
        s->told = told;
    }
    if (!told->data)
        return ERR_MEMORY;
    memcpy(told->data, data, count * sizeof *data);
    return 0;
}

int session_set_tensor(struct session *s, size_t tensor, const float *data)
{
    TRY(keep_told(s, tensor, data));
    return bank_write(s->bank, tensor, data);
}

int32_t logits_likeliest(const float *row, int32_t classes)
{
    int32_t best = 0;
    for (int32_t c = 1; c < classes; c++)
        best = row[c] > row[best] ? c : best;
    return best;
}

double logits_accuracy(const float *logits, const int32_t *labels, uint32_t count, uint32_t classes)
{
    uint32_t right = 0;
    for (uint32_t i = 0; i < count; i++)
        right += logits_likeliest(logits + (size_t)i * classes, (int32_t)classes) == labels[i];
    return count ? (double)right / count : 0;
}

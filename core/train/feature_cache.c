/* feature_cache.c - see feature_cache.h. */
#include "feature_cache.h"

#include "clock.h"
#include "error.h"
#include "memory.h"
#include "products.h"
#include "session.h"

static uint32_t batch_of(const struct run_spec *spec)
{
    return (uint32_t)tape_shape(spec->tape, spec->index).dim[0];
}

static uint32_t images_of(const struct run_spec *spec)
{
    return (uint32_t)spec->feed->count;
}

/* Whole batches: the last one's padding rows are written too, and never read. */
static uint32_t steps_of(const struct run_spec *spec)
{
    return (images_of(spec) + batch_of(spec) - 1) / batch_of(spec);
}

static int allocate(struct features *f, const struct run_spec *spec)
{
    f->rows = mem_alloc(f->prefix.count, sizeof *f->rows);
    if (!f->rows)
        return ERR_MEMORY;
    for (size_t i = 0; i < f->prefix.count; i++) {
        uint64_t floats = (uint64_t)shape_count(tape_shape(spec->tape, f->prefix.cut[i]));
        TRY(buffer_create(&f->rows[i], f->device, BUFFER_DEVICE, steps_of(spec) * floats * sizeof(float),
                          "features"));
        f->bytes += f->rows[i].size;
    }
    return 0;
}

enum { AHEAD = 2 }; /* steps submitted before they are done, so that the device does not wait for the host */

static int replay(struct features *f, struct run *run, uint32_t steps, uint32_t batch, uint32_t images)
{
    for (uint32_t i = 0; i < steps; i++) {
        TRY(run_go(run, 1));
        TRY(run_wait(run, AHEAD)); /* what is reported is nearly done */
        uint32_t done = (i + 1) * batch < images ? (i + 1) * batch : images;
        if (f->report && f->report(f->context, done, images)) {
            TRY(run_wait(run, 0));
            return fail(ERR_STOPPED,
                        "stopped before the first step: features of %u of %u images were computed", done,
                        images);
        }
    }
    return run_wait(run, 0);
}

/* A program of the cut values alone, whose log of all batches is the table of all images. */
static int compute(struct features *f, const struct run_spec *spec)
{
    int rc;
    struct run *run = NULL;
    uint32_t batch = batch_of(spec), steps = steps_of(spec), images = images_of(spec);
    int32_t *order = mem_alloc((size_t)steps * batch, sizeof *order);
    if (!order)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < steps * batch; i++)
        order[i] = i < images ? (int32_t)i : RUN_PADDING;
    TRY_OUT(run_create(&run, &(struct run_spec){.tape = spec->tape,
                                                .bank = spec->bank,
                                                .feed = spec->feed,
                                                .images = spec->images,
                                                .index = spec->index,
                                                .number = spec->number,
                                                .asked = f->asked,
                                                .logs = f->prefix.cut,
                                                .log_count = f->prefix.count,
                                                .log_rows = f->rows,
                                                .series = steps}));
    if (device_rehearses(f->device))
        goto out;
    TRY_OUT(run_begin(run, &(struct run_series){.steps = steps, .order = order}));
    TRY_OUT(replay(f, run, steps, batch, images));
out:
    run_destroy(run);
    mem_free(order);
    return rc;
}

/* Whether the frozen tensor is one and the same in both. */
struct pair {
    const struct features *one, *other;
};
static int is_shared(void *context, uint32_t id)
{
    const struct pair *p = context;
    return bank_address(p->one->bank, id) == bank_address(p->other->bank, id);
}

/* Looks among the trials before for one that keeps the same. */
static int find_lender(struct features *f)
{
    for (const struct features *b = f->before; b && !f->lender; b = b->before) {
        struct pair pair = {f, b};
        int same = b->rows ? prefix_same(f->source, &f->prefix, b->source, &b->prefix, is_shared, &pair) : 0;
        TRY(same);
        f->lender = same ? b : NULL;
    }
    return 0;
}

/* *spec with every value replaced by what it is on the tape behind the cut. */
static int translate(struct features *f, const struct prefix_spec *search, struct run_spec *spec,
                     uint32_t first_id)
{
    size_t cuts = f->prefix.count, logs = spec->log_count;
    f->values = mem_alloc(tape_size(spec->tape) + cuts + logs, sizeof *f->values);
    f->tables = mem_alloc(cuts, sizeof *f->tables);
    f->gradients = mem_alloc(spec->gradient_count, sizeof *f->gradients);
    if (!f->values || !f->tables || !f->gradients)
        return ERR_MEMORY;
    value *map = f->values, *leaves = map + tape_size(spec->tape), *new_logs = leaves + cuts;
    TRY(prefix_rebuild(&f->prefix, search, spec->feed->count, first_id, &f->tape, map, leaves));
    for (size_t i = 0; i < cuts; i++)
        f->tables[i] = (struct run_table){leaves[i], f->lender ? &f->lender->rows[i] : &f->rows[i]};
    for (size_t i = 0; i < logs; i++)
        new_logs[i] = map[spec->logs[i]];
    for (size_t i = 0; i < spec->gradient_count; i++)
        f->gradients[i] = (struct run_gradient){spec->gradients[i].id, map[spec->gradients[i].gradient]};
    spec->tape = f->tape;
    spec->images = map[spec->images];
    f->uses_images = spec->images != 0;
    spec->index = map[spec->index];
    spec->labels = map[spec->labels];
    spec->weights = map[spec->weights];
    spec->scale = map[spec->scale];
    spec->logs = new_logs;
    spec->gradients = f->gradients;
    spec->tables = f->tables;
    spec->table_count = cuts;
    return 0;
}

uint64_t feature_bytes(const struct device *d, int32_t mebibytes)
{
    enum { AUTO_MEBIBYTES = 1024, AUTO_SHARE = 4 };
    uint64_t share = device_budget(d) / AUTO_SHARE, most = (uint64_t)AUTO_MEBIBYTES << 20;
    if (mebibytes != FEATURES_AUTO)
        return (uint64_t)mebibytes << 20;
    return share < most ? share : most;
}

static int make(struct features *f, const struct run_spec *spec)
{
    TRY(product_list_create(&f->asked));
    TRY(allocate(f, spec));
    return compute(f, spec);
}

static int tell_lent(struct features *f, const struct run_spec *spec)
{
    return f->report && f->report(f->context, images_of(spec), images_of(spec))
               ? fail(ERR_STOPPED, "stopped before the first step")
               : 0;
}

int features_keep(struct features *f, struct run_spec *spec, uint32_t first_id)
{
    int rc;
    double start = clock_seconds();
    uint64_t padded = (uint64_t)steps_of(spec) * batch_of(spec), floats_limit = INT32_MAX; /* of a value */
    uint64_t limit = f->limit < floats_limit * sizeof(float) ? f->limit : floats_limit * sizeof(float);
    value *roots = mem_alloc(spec->log_count + spec->gradient_count, sizeof *roots);
    if (!roots)
        return ERR_MEMORY;
    for (size_t i = 0; i < spec->log_count; i++)
        roots[i] = spec->logs[i];
    for (size_t i = 0; i < spec->gradient_count; i++)
        roots[spec->log_count + i] = spec->gradients[i].gradient;
    const struct prefix_spec search = {.tape = spec->tape,
                                       .roots = roots,
                                       .root_count = spec->log_count + spec->gradient_count,
                                       .index = spec->index,
                                       .image_bytes = limit / padded};
    f->device = engine_device(bank_engine(spec->bank));
    TRY_OUT(prefix_find(&f->prefix, &search));
    f->source = spec->tape;
    f->bank = spec->bank;
    if (f->prefix.count) {
        TRY_OUT(find_lender(f));
        TRY_OUT(f->lender ? tell_lent(f, spec) : make(f, spec));
        if (spec->asked) /* as if it had computed them */
            TRY_OUT(product_list_append(spec->asked, f->lender ? f->lender->asked : f->asked));
        TRY_OUT(translate(f, &search, spec, first_id));
        f->seconds = clock_seconds() - start;
    }
out:
    mem_free(roots);
    return rc;
}

void features_finish(struct features *f)
{
    for (size_t i = 0; f->rows && i < f->prefix.count; i++)
        buffer_destroy(f->device, &f->rows[i]);
    product_list_destroy(f->asked);
    mem_free(f->rows);
    mem_free(f->values);
    mem_free(f->tables);
    mem_free(f->gradients);
    tape_destroy(f->tape);
    prefix_finish(&f->prefix);
    *f = (struct features){0};
}

/* steered.c - for tests: uses all of vitro/training.h and writes down what it was told; or, by its option, does
 * one thing that is wrong. */
#include <vitro/sdk.h>
#include <vitro/trainer.h>

/* clang-format off */
#define KINDS(X) \
    X(GOOD, good) X(EMPTY, empty) X(SHORT_TABLE, short_table) X(PLAN_ALONE, plan_alone) \
    X(NEXT_ALONE, next_alone) X(PLAN_FAILS, plan_fails) X(PLAN_SILENT, plan_silent) \
    X(PLAN_TOO_MANY, plan_too_many) X(PLAN_NOTHING, plan_nothing) X(PLAN_BLOCKS, plan_blocks) \
    X(SCAN_FAILS, scan_fails) X(SCAN_EDITS, scan_edits) X(SCAN_UNPLANNED, scan_unplanned) \
    X(SCAN_NO_SITE, scan_no_site) X(BEGIN_FAILS, begin_fails) X(BEGIN_SILENT, begin_silent) \
    X(BEGIN_FOREIGN, begin_foreign) X(BEGIN_BLOCK, begin_block) X(BEGIN_GRADIENT, begin_gradient) \
    X(BEGIN_INFINITE, begin_infinite) X(BEGIN_ROOM, begin_room) X(BEGIN_NO_ROOM, begin_no_room) \
    X(BEGIN_RANK, begin_rank) X(BEGIN_NO_MATRIX, begin_no_matrix) X(BEGIN_GOES_ON, begin_goes_on) \
    X(NEXT_BACK, next_back) X(NEXT_BEYOND, next_beyond) X(STEP_FAILS, step_fails) \
    X(STEP_FROZEN, step_frozen) X(STEP_INFINITE, step_infinite)
/* clang-format on */
#define X(id, name) id,
enum { KINDS(X) KIND_COUNT };
#undef X
#define X(id, name) #name,
static const char *const kinds[] = {KINDS(X) NULL};
#undef X

enum { SCANS, SCAN_SUM, STEPS, CALLS, LAST, LOG }; /* the log's entries */

struct steered {
    int32_t kind;
    vitro_param shift, log;
};

static const vitro_option options[] = {
    VITRO_OPT_ENUM(struct steered, kind, GOOD, kinds, NULL, "what it does wrong"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct steered *s = self;
    s->shift = VITRO_PARAM(d, .name = "shift", .shape = VITRO_SHAPE(d->model->dim), .wise = VITRO_TO_ZERO);
    s->log = VITRO_PARAM(d, .name = "log", .shape = VITRO_SHAPE(LOG), .flags = VITRO_SHARED | VITRO_FROZEN);
    d->hook(d, VITRO_BIT(MID), (vitro_blocks){0, 0});
    return 0;
}

/* The log enters with no weight, so that it is there to be read at every step. */
static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct steered *s = self;
    (void)site;
    vitro_value log = t->op->sum(t, vitro_get(t, s->log), 1);
    return vitro_add(t, x, vitro_add(t, vitro_get(t, s->shift), vitro_scale(t, log, 1e-3f)));
}

static int plan(const void *self, vitro_scan *scan)
{
    const int32_t kind = ((const struct steered *)self)->kind;
    if (kind == PLAN_FAILS)
        return scan->host->fail(scan->host, "not in the mood");
    if (kind == PLAN_SILENT)
        return -1;
    scan->batches = kind == PLAN_TOO_MANY ? scan->batches + 1 : scan->batches < 2 ? scan->batches : 2;
    scan->sites = kind == PLAN_NOTHING ? VITRO_BIT(ATTN) : VITRO_BIT(QKV) | VITRO_BIT(PROJ);
    scan->parts = VITRO_BIAS;
    scan->blocks.first = kind == PLAN_BLOCKS ? scan->model->depth : 0;
    return 0;
}

static int scan(void *self, vitro_trainer *t)
{
    struct steered *s = self;
    const int32_t kind = s->kind;
    float *seen = t->room(t, 7, 2);
    const float *d = t->weight_gradient(t, kind == SCAN_NO_SITE ? VITRO_AT_ATTN : VITRO_AT_PROJ,
                                        kind == SCAN_UNPLANNED ? VITRO_WEIGHT : VITRO_BIAS, 0);
    if (kind == SCAN_FAILS)
        return t->host->fail(t->host, "a scan too far");
    if (!seen || !d || (kind == SCAN_EDITS && !t->edit(t, s->log, 0)))
        return -1;
    seen[0] += 1;
    for (int32_t i = 0; i < t->model->dim; i++)
        seen[1] += (float)(i + 1) * d[i]; /* the plain sum is zero: a norm follows */
    return 0;
}

static int begin_badly(struct steered *s, vitro_trainer *t)
{
    float x[4] = {1, 2, 3, 4}, out[4];
    const float *w = t->weight(t, VITRO_AT_QKV, VITRO_WEIGHT, 0);
    float *log = t->edit(t, s->log, 0);
    if (!w || !log)
        return -1;
    switch (s->kind) {
    case BEGIN_FAILS: return t->host->fail(t->host, "there is nothing to begin with");
    case BEGIN_SILENT: return -1;
    case BEGIN_FOREIGN: return t->edit(t, 99, 0) ? 0 : -1;
    case BEGIN_BLOCK: return t->edit(t, s->shift, t->model->depth) ? 0 : -1;
    case BEGIN_GRADIENT: return t->param_gradient(t, s->shift, 0) ? 0 : -1;
    case BEGIN_ROOM: return t->room(t, 7, 3) ? 0 : -1;
    case BEGIN_NO_ROOM: return t->room(t, 8, (size_t)-1) ? 0 : -1;
    case BEGIN_RANK: return t->svd(t, x, 2, 2, 3, out, out, out);
    case BEGIN_NO_MATRIX: return t->svd(t, NULL, 2, 2, 1, out, out, out);
    case BEGIN_GOES_ON: return t->edit(t, 0, 0) ? -1 : 0; /* as if nothing had happened */
    case BEGIN_INFINITE: log[LAST] = 1e38f * (float)t->steps; return 0;
    default: return 0;
    }
}

static int begin(void *self, vitro_trainer *t)
{
    struct steered *s = self;
    float *seen = t->room(t, 7, 2), *log = t->edit(t, s->log, 0);
    if (!seen || !log)
        return -1;
    log[SCANS] = seen[0];
    log[SCAN_SUM] = seen[1];
    log[STEPS] = (float)t->steps;
    return begin_badly(s, t);
}

static uint32_t next(const void *self, uint32_t step, uint32_t steps)
{
    const int32_t kind = ((const struct steered *)self)->kind;
    if (kind == NEXT_BACK || kind == NEXT_BEYOND)
        return kind == NEXT_BACK && step ? step : steps + (kind == NEXT_BEYOND);
    return step + 3 - step % 3 > steps ? 0 : step + 3 - step % 3;
}

/* Every third step: halves block 0's shift and takes a step of its own down the gradient. */
static int step(void *self, vitro_trainer *t)
{
    struct steered *s = self;
    const int32_t kind = s->kind;
    float *shift = t->edit(t, s->shift, 0), *log = t->edit(t, s->log, 0);
    const float *d = t->param_gradient(t, kind == STEP_FROZEN ? s->log : s->shift, 0);
    if (kind == STEP_FAILS)
        return t->host->fail(t->host, "a step too far");
    if (!shift || !log || !d)
        return -1;
    for (int32_t i = 0; i < t->model->dim; i++)
        shift[i] = shift[i] / 2 - 0.1f * d[i];
    log[CALLS] += 1;
    log[LAST] = kind == STEP_INFINITE ? 1e38f * (float)t->steps : (float)t->step;
    return t->param(t, s->log, 0) == log ? 0 : -1; /* what was edited is what is read */
}

static const void *extension(const void *self, const char *id)
{
    enum { SIZE = sizeof(vitro_training) };
    static const vitro_training good = {SIZE, plan, scan, begin, next, step}, empty = {.size = SIZE},
                                tiny = {.size = 2}, plan_alone = {.size = SIZE, .plan = plan, .begin = begin},
                                next_alone = {.size = SIZE, .begin = begin, .next = next};
    const int32_t kind = ((const struct steered *)self)->kind;
    if (strcmp(id, VITRO_TRAINING))
        return NULL;
    return kind == EMPTY         ? &empty
           : kind == SHORT_TABLE ? &tiny
           : kind == PLAN_ALONE  ? &plan_alone
           : kind == NEXT_ALONE  ? &next_alone
                                 : &good;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "steered",
    .version = "1.0",
    .summary = "for tests",
    .options = options,
    .self_size = sizeof(struct steered),
    .declare = declare,
    .forward = forward,
    .extension = extension,
};

/* lint_bad.c - plugins for the judge, one per LINT_BAD: a good one, and those that are wrong in one way each
 * that the host has no way to see. The build makes a library of every kind. */
#include <vitro/sdk.h>
#include <vitro/training.h>

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    GOOD,
    TWO_SYMBOLS,
    LINKS_LIBM,
    CRASH_ON_LOAD,
    EXIT_ON_LOAD,
    HANG_ON_LOAD,
    SLOW_ON_LOAD,
    NEWER_ABI,
    OTHER_FILE,
    NO_SUMMARY,
    NO_PAPER,
    NO_HELP,
    DEFAULT_OUTSIDE,
    GRID_OUTSIDE,
    SAME_PLACE,
    BAD_NAME,
    CRASH_IN_DECLARE,
    REFUSES_ALL,
    CRASH_IN_FORWARD,
    HANG_IN_FORWARD,
    HANG_IN_BACKWARD,
    HUNGRY,
    IDLE_PARAM,
    BEHIND_SELF,
    BEFORE_SELF,
    WRITES_MODEL,
    WRITES_SITE,
    MOODY,
    CRASH_AT_LEAST,
    WRONG_COUNT,
    WRONG_COUNT_ELSEWHERE,
    CRASH_IN_FINISH,
    LEAKS,
    LEAKS_FILES,
    SHARES_RANK,
    COUNTS_CALLS,
    PRINTS_ON_LOAD,
    PRINTS_IN_FORWARD,
    COUNTS_TOKENS,
    DIVIDES,
    MIXES_BATCH,
    ROOT_OF_ZERO,
    WRITES_NAN,
    DICES,
    WRONG_SIGN,
    MISSING_TERM,
    FORGETS_MASK,
    WRONG_MERGE,
    NOT_THE_BACKBONE,
    REORDERED_LORA,
    KIND = LINT_BAD
};

struct bad {
    int32_t r, mode;
    float scale, dropout;
    int32_t patches, tokens;
    vitro_param a, c, b, gain, bias, idle, kept;
    void *memory;
    int guard; /* the last byte of the instance is its last */
};

static const char *const modes[] = {KIND == BAD_NAME ? "all,none" : "all", "last", NULL};
static const vitro_option options[] = {
    VITRO_OPT_INT(struct bad, r, KIND == DEFAULT_OUTSIDE ? 99 : 6, KIND == CRASH_AT_LEAST ? 0 : 1, 64,
                  KIND == GRID_OUTSIDE ? "2 6 128" : "2 6 12", "width of the bottleneck"),
    VITRO_OPT_FLOAT(struct bad, scale, 0.5, 0.01, 10, NULL, KIND == NO_HELP ? NULL : "strength"),
    VITRO_OPT_FLOAT(struct bad, dropout, 0.1, 0, 0.9, NULL, "dropout in the bottleneck"),
    {"mode", "which blocks", VITRO_ENUM,
     KIND == SAME_PLACE ? offsetof(struct bad, r) : offsetof(struct bad, mode), 0, 0, 0, modes, NULL},
    VITRO_OPT_END,
};

/* --- while the file is opened */

__attribute__((constructor)) static void construct(void)
{
    switch (KIND) {
    case CRASH_ON_LOAD: raise(SIGSEGV); break;
    case EXIT_ON_LOAD: exit(3);
    case HANG_ON_LOAD:
        for (;;)
            pause();
    case SLOW_ON_LOAD: usleep(150000); break;
    case PRINTS_ON_LOAD: puts("hello from a constructor"); break;
    default: break;
    }
}

#ifdef LINT_BAD_SYMBOL
extern VITRO_EXPORT const int another_symbol;
const int another_symbol = 1;
#endif

/* --- globals: each instance should have its own */

static int32_t shared;

static int init(void *self, const vitro_host *host)
{
    (void)host;
    if (KIND == LEAKS)
        *(volatile char *)malloc(64) = 1;
    if (KIND == LEAKS_FILES && open("/dev/null", O_RDONLY) < 0)
        return -1;
    if (KIND == BEHIND_SELF)
        ((volatile char *)self)[sizeof(struct bad)] = 7;
    if (KIND == BEFORE_SELF)
        ((volatile char *)self)[-1] = 7;
#ifdef LINT_BAD_LIBM
    ((struct bad *)self)->dropout = (float)fabs(sin((double)((struct bad *)self)->dropout) / 2);
#endif
    return 0;
}

static void finish(void *self)
{
    struct bad *b = self;
    if (KIND == CRASH_IN_FINISH)
        *(volatile char *)b->memory = 0; /* taken in declare only */
    free(b->memory);
}

static int misbehave_in_declare(struct bad *b, vitro_decl *d)
{
    volatile int *nowhere = NULL;
    if (KIND == CRASH_IN_DECLARE)
        *nowhere = 1;
    if (KIND == REFUSES_ALL)
        return d->host->fail(d->host, "dim must be a multiple of 1000");
    if (KIND == WRITES_MODEL)
        ((volatile vitro_model *)(uintptr_t)d->model)->dim = d->model->dim; /* even so */
    if (KIND == CRASH_AT_LEAST && b->r == 0)
        *nowhere = 1;
    if (KIND == CRASH_IN_FINISH)
        b->memory = calloc(1, 16);
    if (KIND == COUNTS_CALLS || KIND == MOODY)
        shared++;
    if (KIND == SHARES_RANK)
        shared = b->r;
    return 0;
}

static int declare_lora(struct bad *b, vitro_decl *d)
{
    int32_t dim = d->model->dim;
    d->hook(d, VITRO_BIT(QKV), (vitro_blocks){0, 0});
    b->b = VITRO_PARAM(d, .name = "up", .shape = VITRO_SHAPE(b->r, 3 * dim), .wise = VITRO_TO_ZERO);
    b->a = VITRO_PARAM(d, .name = "down", .shape = VITRO_SHAPE(dim, b->r), .init = VITRO_NORMAL,
                       .init_arg = 0.02f);
    return 0;
}

/* As many tensors as a merge and an interpolation can be judged by: FC1's channels times a gain, plus a bias. */
static int declare_gain(struct bad *b, vitro_decl *d)
{
    const vitro_shape width = VITRO_SHAPE(d->model->hidden);
    b->gain = VITRO_PARAM(d, .name = "gain", .shape = width, .init = VITRO_ONES, .wise = VITRO_TO_ONE);
    b->bias = VITRO_PARAM(d, .name = "bias", .shape = width,
                          .wise = KIND == NOT_THE_BACKBONE ? VITRO_KEEP : VITRO_TO_ZERO);
    d->hook(d, VITRO_BIT(FC1), (vitro_blocks){0, 0});
    return 0;
}

static int is_gain(void)
{
    return KIND == WRONG_MERGE || KIND == NOT_THE_BACKBONE;
}

static int declare(void *self, vitro_decl *d)
{
    struct bad *b = self;
    const vitro_model *m = d->model;
    const int32_t dim = m->dim, r = b->r + (KIND == MOODY ? shared % 2 : 0);
    const vitro_blocks blocks = {b->mode ? m->depth - 1 : 0, 0};
    if (misbehave_in_declare(b, d))
        return -1;
    if (KIND == REORDERED_LORA)
        return declare_lora(b, d);
    if (is_gain())
        return declare_gain(b, d);
    b->patches = m->grid_h * m->grid_w;
    b->tokens = b->patches + m->prefix;
    b->a = VITRO_PARAM(d, .name = "a", .shape = VITRO_SHAPE(r, dim), .blocks = blocks, .init = VITRO_KAIMING);
    b->c = VITRO_PARAM(d, .name = "c", .shape = VITRO_SHAPE(r), .blocks = blocks);
    b->b = VITRO_PARAM(d, .name = "b", .shape = VITRO_SHAPE(dim, r), .blocks = blocks, .wise = VITRO_TO_ZERO);
    b->gain = VITRO_PARAM(d, .name = "gain", .shape = VITRO_SHAPE(dim), .blocks = blocks, .init = VITRO_ONES);
    if (KIND == IDLE_PARAM)
        b->idle = VITRO_PARAM(d, .name = "idle", .shape = VITRO_SHAPE(3), .blocks = blocks);
    if (KIND == WRITES_NAN || KIND == DICES)
        b->kept = VITRO_PARAM(d, .name = "kept", .shape = VITRO_SHAPE(dim),
                              .flags = VITRO_FROZEN | VITRO_SHARED, .init = VITRO_ONES);
    d->hook(d, VITRO_BIT(MLP_OUT), blocks);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const struct bad *b = self;
    const int64_t D = m->dim, r = KIND == WRONG_COUNT_ELSEWHERE ? 6 : b->r;
    if (KIND == REORDERED_LORA)
        return m->depth * r * 4 * D;
    if (is_gain())
        return (int64_t)m->depth * 2 * m->hidden;
    const int64_t a_block = 2 * D * r + r + D + (KIND == WRONG_COUNT ? 1 : 0) + (KIND == IDLE_PARAM ? 3 : 0);
    return (b->mode ? 1 : m->depth) * a_block;
}

/* --- forward: y = x + scale (dropout(tanh(mid aT + c)) bT) gain */

static vitro_value forward_lora(struct bad *b, vitro_trace *t, vitro_value x)
{
    vitro_value h = vitro_matmul(t, vitro_at(t, VITRO_AT_NORM1), vitro_get(t, b->a));
    vitro_value up = vitro_matmul(t, vitro_scale(t, h, 2), vitro_get(t, b->b));
    return vitro_add(t, vitro_dropout(t, up, b->dropout), x);
}

static void misbehave_in_forward(struct bad *b, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    volatile int *nowhere = NULL;
    volatile int32_t rows = site->tokens;
    if (KIND == CRASH_IN_FORWARD)
        *nowhere = 1;
    for (volatile int forever = 1; KIND == HANG_IN_FORWARD && forever;)
        continue;
    for (size_t i = 0; KIND == HUNGRY && i < 1u << 20; i++)
        ((volatile char *)malloc((size_t)1 << 28))[5] = 1;
    if (KIND == WRITES_SITE)
        ((volatile vitro_site *)(uintptr_t)site)->prefix = 0;
    if (KIND == DIVIDES) /* a poisoned value has no columns */
        b->guard = 1000 / (rows * t->op->shape(t, vitro_relu(t, x)).dim[2]);
    if (KIND == PRINTS_IN_FORWARD)
        fprintf(stderr, "block %d\n", site->block);
}

/* Tokens added up as if there were no others than the model's own. */
static vitro_value as_images(struct bad *b, vitro_trace *t, const vitro_site *site, vitro_value y)
{
    vitro_shape s = t->op->shape(t, y);
    vitro_value flat = t->op->reshape(t, y, VITRO_SHAPE(site->batch * b->tokens, s.dim[2]));
    return t->op->reshape(t, flat, s);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct bad *b = self;
    misbehave_in_forward(b, t, site, x);
    if (KIND == REORDERED_LORA)
        return forward_lora(b, t, x);
    if (is_gain())
        return vitro_add(t, vitro_mul(t, x, vitro_get(t, b->gain)), vitro_get(t, b->bias));
    vitro_value z = vitro_linear(t, vitro_at(t, VITRO_AT_MID), b->a, b->c);
    vitro_value h = vitro_dropout(t, t->op->unary(t, z, VITRO_TANH), b->dropout);
    vitro_value u =
        vitro_scale(t, vitro_linear(t, h, b->b, 0), KIND == SHARES_RANK ? (float)shared : b->scale);
    t->op->save(t, 0, z);
    t->op->save(t, 1, h);
    t->op->save(t, 2, u);
    vitro_value y = vitro_mul(t, u, vitro_get(t, b->gain));
    if (KIND == MIXES_BATCH)
        y = vitro_add(t, y, vitro_scale(t, t->op->sum(t, y, 1u << 0), 0.1f));
    if (KIND == ROOT_OF_ZERO) /* of the square of what starts at zero */
        y = vitro_add(t, y, t->op->unary(t, vitro_mul(t, u, u), VITRO_SQRT));
    if (KIND == COUNTS_TOKENS)
        y = as_images(b, t, site, y);
    return vitro_add(t, x, y);
}

/* --- backward: du = scale dy gain, dgain = sum dy u;  dh = du b, db = duT h;  dz = tanh'(z) mask(dh);
 *     da = dzT mid, dc = sum dz;  dmid = dz a */

static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct bad *b = self;
    (void)site;
    for (volatile int forever = 1; KIND == HANG_IN_BACKWARD && forever;)
        continue;
    vitro_value gain = vitro_get(t, b->gain), mid = vitro_at(t, VITRO_AT_MID);
    t->op->grad(t, gain, vitro_sum_rows(t, vitro_mul(t, dy, t->op->saved(t, 2))));
    vitro_value du = vitro_scale(t, vitro_mul(t, dy, gain), KIND == WRONG_SIGN ? -b->scale : b->scale);
    vitro_value dh = vitro_linear_back(t, t->op->saved(t, 1), du, b->b, 0);
    if (KIND != FORGETS_MASK)
        dh = t->op->redrop(t, 0, dh);
    vitro_value dz = t->op->unary_back(t, t->op->saved(t, 0), dh, VITRO_TANH);
    vitro_value dmid = vitro_linear_back(t, mid, dz, b->a, b->c);
    if (KIND != MISSING_TERM)
        t->op->grad(t, mid, dmid);
    return dy;
}

/* --- the rest */

/* w rows and the bias times gain, the bias plus bias; WRONG_MERGE forgets the product with the old bias. */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct bad *b = self;
    if (block < 0)
        return 0;
    vitro_value w = t->op->weight(t, VITRO_AT_FC1, VITRO_WEIGHT), gain = vitro_get(t, b->gain);
    vitro_value old = t->op->weight(t, VITRO_AT_FC1, VITRO_BIAS);
    vitro_value rows = t->op->reshape(t, gain, VITRO_SHAPE(t->op->shape(t, w).dim[0], 1));
    vitro_value scaled = KIND == WRONG_MERGE ? old : vitro_mul(t, old, gain);
    t->op->replace(t, VITRO_AT_FC1, VITRO_WEIGHT, vitro_mul(t, w, rows));
    t->op->replace(t, VITRO_AT_FC1, VITRO_BIAS, vitro_add(t, scaled, vitro_get(t, b->bias)));
    return 0;
}

static int begin(void *self, vitro_trainer *t)
{
    struct bad *b = self;
    float *kept = t->edit(t, b->kept, -1);
    if (!kept)
        return -1;
    if (KIND == WRITES_NAN)
        kept[3] = (float)NAN;
    if (KIND == DICES)
        kept[0] = (float)(++shared);
    return 0;
}

static const vitro_training training = {.size = sizeof training, .begin = begin};

static const void *extension(const void *self, const char *id)
{
    const char *wanted = VITRO_TRAINING;
    (void)self;
    while (*id && *id == *wanted)
        id++, wanted++;
    return *id == *wanted ? &training : NULL;
}

enum {
    DERIVED = KIND == MIXES_BATCH || KIND == ROOT_OF_ZERO || KIND == REORDERED_LORA || KIND == SHARES_RANK ||
              KIND == WRONG_MERGE || KIND == NOT_THE_BACKBONE
};

const vitro_plugin_info vitro_plugin = {
    .abi = KIND == NEWER_ABI ? VITRO_ABI_MAJOR << 16 | 9 : VITRO_ABI_MAJOR << 16,
    .size = sizeof(vitro_plugin_info),
    .option_size = sizeof(vitro_option),
    .id = KIND == OTHER_FILE ? "another_name" : NAME,
    .version = "0.1",
    .summary = KIND == NO_SUMMARY ? NULL : "a plugin that the judge should see through",
    .paper = KIND == NO_PAPER ? NULL : "none; a test",
    .options = options,
    .self_size = sizeof(struct bad),
    .init = init,
    .finish = finish,
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = DERIVED ? NULL : backward,
    .merge = KIND == WRONG_MERGE || KIND == NOT_THE_BACKBONE ? merge : NULL,
    .extension = KIND == WRITES_NAN || KIND == DICES ? extension : NULL,
};

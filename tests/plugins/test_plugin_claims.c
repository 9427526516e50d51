/* test_plugin_claims.c - what the shipped plugins say about themselves is so: parameter counts, what
 * trains, how they start, what folding them into the weights gives. */
#include "tiny.h"

#include "trace.h"

/* The same sums in double, in another order. */
static const double SAME = 1e-10;

static const struct vit_shape vit_b = {.image = 224,
                                       .patch = 16,
                                       .dim = 768,
                                       .depth = 12,
                                       .heads = 12,
                                       .hidden = 3072,
                                       .classes = 100,
                                       .eps = 1e-6f};

static const struct count {
    const char *text;
    int64_t vit_b; /* without the head, as in the study's table */
} counts[] = {
    {"linear", 0},
    {"full", 85798656},
    {"bitfit", 102912},
    {"lora[r=1]", 36864},
    {"lora[r=8]", 294912},
    {"lora[r=32]", 1179648},
    {"lora[r=8,targets=attention]", 442368},
    {"lora[r=8,targets=qv]", 294912},
    {"lora[r=8,targets=mlp]", 737280},
    {"lora[r=8,targets=q_k_v]", 442368},
    {"lora[r=8,targets=k]", 147456},
    {"lora[r=8,targets=fc1]", 368640},
    {"lora[r=8,targets=all]", 1179648},
    {"pissa[r=8]", 294912},
    {"pissa[r=8,targets=all]", 1179648},
    {"adalora", 442512}, /* 12 * 12 * (4 * 768 + 1), before ranks fall */
    {"gps",
     166656}, /* the paper's 167424 with one entry a row of the patch projection, which it leaves out */
    {"ssf", 205824},
    {"vpt[prompts=10]", 92160},
    {"vpt[prompts=100]", 921600},
    {"vpt[prompts=10,mode=shallow]", 7680},
    {"vpt[prompts=200,mode=first_block]", 153600},
    {"adaptformer[r=4]", 82992},
    {"adaptformer[r=16]", 304320},
    {"adaptformer[r=32]", 599424},
    {"layernorm", 38400},
    {"difffit", 140544},
    {"selective[part=attention]", 2362368},
    {"selective[part=qkv]", 1771776},
    {"selective[part=proj]", 590592},
    {"selective[part=mlp]", 4722432},
    {"selective[part=fc1]", 2362368},
    {"selective[part=fc2]", 2360064},
    {"selective[part=block]", 7087872},
    {"selective[part=attention,blocks=2]", 4724736},
    {"fact_tt[r=8]", 21504},
    {"fact_tt[r=16]", 61440},
    {"fact_tt[r=32]", 196608},
    {"fact_tk[r=16]", 30976},
    {"fact_tk[r=32]", 86528},
    {"fact_tk[r=64]", 369664},
    {"houlsby[r=4]", 165984},
    {"houlsby[r=8]", 313536},
    {"houlsby[r=16]", 608640},
    {"houlsby[r=32]", 1198848},
    {"pfeiffer[r=4]", 82992},
    {"pfeiffer[r=8]", 156768},
    {"pfeiffer[r=64]", 1189632},
    {"ia3", 55296},
    {"vqt[queries=1]", 9229},
    {"vqt[queries=10]", 92281},
    {"repadapter[r=8]", 239808},
    {"repadapter[r=16]", 461184},
    {"repadapter[r=32]", 903936},
    {"convpass[r=8]", 327552},
    {"convpass[r=16]", 664320},
    {"convpass[r=32]", 1420800},
    {"arc", 96432},
    {"adapter_plus[r=8]", 165984},
    {"adapter_plus[r=16]", 313536},
    {"adapter_plus[r=32]", 608640},
    {"dora[r=8]", 322560},
    {"vera", 30720},
    {"loha[r=8]", 589824},
    {"loha[r=8,target=qv]", 589824},
    {"loha[r=8,target=q_k_v]", 884736},
    {"lokr[r=8]", 21504},
    {"lokr[r=8,target=qv]", 26112},
    {"lokr[r=8,target=q_k_v]", 39168},
    {"oft[block=8,cayley=exact]", 32256},
    {"boft[block=4,factors=2]", 101376},
};
enum { COUNTS = sizeof counts / sizeof *counts };

static void check_count(const char *text, const struct vit_shape *shape, int64_t wanted)
{
    struct tiny n = {0};
    struct method_part part;
    tiny_must(tiny_stack(&n, text, shape));
    tiny_must(method_part(n.method, 0, &part));
    assert_int_equal(part.claimed, part.declared);
    assert_int_equal(part.declared, method_trainable(n.method));
    if (shape == &vit_b)
        assert_int_equal(method_trainable(n.method), wanted);
    assert_int_equal(method_head(n.method),
                     (vit_features(shape) + 1) * shape->classes + shape->projection * shape->dim);
    tiny_close(&n);
}

static void the_counts_are_the_studys_and_the_plugins_own(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTS; i++) {
        check_count(counts[i].text, &vit_b, counts[i].vit_b);
        for (int k = 0; k < TINY_SHAPES; k++)
            check_count(counts[i].text, tiny_shapes[k], 0);
    }
    check_count("oft", &vit_b, 142848); /* in blocks of 32: not for the tiny model's 24 channels */
}

/* The study's table for CLIP ViT-B/16: a norm before the blocks, no bias of the patch projection. */
static void the_counts_of_clip_are_the_studys_as_well(void **state)
{
    (void)state;
    static const struct count clip[] = {
        {"full", 85799424}, {"layernorm", 39936}, {"difffit", 141312}, {"bitfit", 102912}};
    struct vit_shape shape = vit_b;
    shape.features = VIT_NORM_PRE | VIT_NO_PATCH_BIAS | VIT_QUICK_GELU;
    shape.projection = 512;
    for (size_t i = 0; i < sizeof clip / sizeof *clip; i++) {
        struct tiny n = {0};
        tiny_must(tiny_stack(&n, clip[i].text, &shape));
        assert_int_equal(method_trainable(n.method), clip[i].vit_b);
        tiny_close(&n);
    }
}

static void a_stack_counts_shared_tensors_once(void **state)
{
    (void)state;
    struct tiny n = {0};
    tiny_must(tiny_stack(&n, "bitfit+full+lora[r=8]", &vit_b));
    assert_int_equal(method_trainable(n.method), 85798656 + 294912);
    tiny_close(&n);
}

/* Logits of the network with the weights that `merged` gives, on the trace's own tape. */
static value plain_logits(struct tiny *n, const value *merged)
{
    struct vit_trace v = {.tape = n->tape,
                          .vit = n->vit,
                          .images = n->images,
                          .index = n->index,
                          .tensors = merged,
                          .mean = {0.5f, 0.5f, 0.5f},
                          .std = {0.5f, 0.5f, 0.5f}};
    return vit_trace(&v);
}

static void check_merge_as(const char *text, const struct vit_shape *shape)
{
    struct tiny n;
    struct ref *r = NULL;
    tiny_open_as(&n, text, shape, &(struct method_step){.training = 0});
    value *merged = mem_alloc(n.vit->count, sizeof *merged);
    assert_non_null(merged);
    tiny_must(method_merge(n.method, n.tape, merged));
    value both[2] = {n.trace->logits, plain_logits(&n, merged)};
    tiny_must(ref_create(&r, n.tape, both, 2));
    tiny_fill(&n, r);
    tiny_must(ref_run(r));
    double off =
        tiny_distance(ref_value(r, both[1]), ref_value(r, both[0]), shape_count(tape_shape(n.tape, both[0])));
    if (!(off <= SAME))
        fail_msg("%s: merged logits are off by %g", text, off);
    ref_destroy(r);
    mem_free(merged);
    tiny_close(&n);
}

static void check_merge(const char *text)
{
    for (int i = 0; i < TINY_SHAPES; i++)
        check_merge_as(text, tiny_shapes[i]);
}

static void merged_weights_give_the_hooked_logits(void **state)
{
    (void)state;
    check_merge("linear");
    check_merge("bitfit");
    check_merge("layernorm");
    check_merge("selective[part=block]");
    check_merge("difffit");
    check_merge("ssf+difffit");
    check_merge("ssf+ssf");
    check_merge("fact_tt[r=3,scale=0.7]");
    check_merge("fact_tk[r=5,scale=0.7]");
    check_merge("fact_tk[r=4]+lora[r=2]+fact_tt[r=2]+difffit");
    check_merge("lora[r=4,alpha=6]");
    check_merge("lora[r=4,rslora=true,targets=all]");
    check_merge("lora[r=4,targets=qv]");
    check_merge("lora[r=4,targets=q_k_v]+lora[r=3,targets=proj]+lora[r=2,targets=fc1]+lora[r=2,targets=fc2]");
    check_merge("lora[r=4,targets=q]+lora[r=3,targets=k]+lora[r=2,targets=v]");
    check_merge("pissa[r=4,alpha=6,targets=all]");
    check_merge("gps[k=3]");
    check_merge("adalora[r=5,target_r=3,alpha=7]");
    check_merge("ssf");
    check_merge("ia3");
    check_merge("ia3+lora[r=4]+ssf");
    check_merge("repadapter[r=4,scale=0.7]");
    check_merge("repadapter[r=6,groups=3]");
    check_merge("arc[r=5]");
    check_merge("dora[r=4,alpha=6]");
    check_merge("dora[r=3]+lora[r=4]");
    check_merge("vera[r=10]");
    check_merge("loha[r=5,alpha=8]");
    check_merge("loha[r=3,target=qv]+lora[r=2]");
    check_merge("lokr[r=3,alpha=5]");
    check_merge("lokr[r=6]+ssf");
    check_merge("lokr[r=2,alpha=3,target=qv]");
    check_merge("lokr[r=2,alpha=3,target=q_k_v]+loha[r=2,target=q_k_v]");
    check_merge("oft[block=8]");
    check_merge("lora[r=3]+oft[block=6,cayley=exact]");
    check_merge("boft[block=4,factors=2]");
    check_merge("boft[block=2,factors=3]");
    check_merge("vera[r=5]+loha[r=2]+boft[block=6,factors=1]");
    check_merge("lora[r=4]+ssf+lora[r=2]");
    check_merge("ssf+lora[r=4]+full");
    check_merge(TEMPLATE "[strength=0.7]+ssf");
}

static void what_cannot_be_merged_says_so(void **state)
{
    (void)state;
    struct tiny n = {0};
    struct tape *t = tape_create();
    tiny_must(tiny_stack(&n, "lora+vpt", &tiny_shape));
    value *merged = mem_alloc(n.vit->count, sizeof *merged);
    assert_int_equal(method_merge(n.method, t, merged), ERR_PLUGIN);
    assert_string_equal(error_text(), "vpt cannot be folded into the weights");
    mem_free(merged);
    tape_destroy(t);
    tiny_close(&n);
}

static const struct tensor *find(const struct tiny *n, const char *name, size_t *id)
{
    for (*id = 0; *id < n->tensor_count; ++*id)
        if (!strcmp(n->tensors[*id].name, name))
            return &n->tensors[*id];
    fail_msg("there is no tensor %s", name);
    return NULL;
}

/* Smallest and largest initial number, and the mean. */
static void start_of(const struct tiny *n, const char *name, double out[3])
{
    size_t id;
    const struct tensor *t = find(n, name, &id);
    int64_t count = shape_count(t->shape);
    float *x = mem_alloc((size_t)count, sizeof *x);
    assert_non_null(x);
    tiny_must(method_initial(n->method, id, TINY_SEED, x));
    out[0] = out[1] = (double)x[0];
    out[2] = 0;
    for (int64_t i = 0; i < count; i++) {
        out[0] = fmin(out[0], (double)x[i]);
        out[1] = fmax(out[1], (double)x[i]);
        out[2] += (double)x[i] / (double)count;
    }
    mem_free(x);
}

static void check_start(const struct tiny *n, const char *name, double low, double high)
{
    double found[3];
    start_of(n, name, found);
    assert_true(found[0] >= low && found[1] <= high);
    assert_true(found[1] - found[0] >= 0.9 * (high - low)); /* it fills its range */
    assert_true(fabs(found[2] - (low + high) / 2) <= 0.1 * (high - low) + 1e-12);
}

static void parameters_start_as_the_papers_say(void **state)
{
    (void)state;
    struct tiny n = {0};
    double kaiming = 1 / sqrt(24.0), prompt = sqrt(6.0 / (3 * 8 * 8 + 24)), found[3];
    tiny_must(tiny_stack(&n, "lora+adaptformer+vpt[prompts=50]+ssf+lora+vqt[queries=50]+ia3", &tiny_shape));
    check_start(&n, "lora/0/a", -kaiming, kaiming);
    check_start(&n, "lora-2/1/a", -kaiming, kaiming);
    check_start(&n, "lora/1/b", 0, 0);
    check_start(&n, "adaptformer/1/down", -kaiming, kaiming);
    check_start(&n, "adaptformer/0/down_bias", 0, 0);
    check_start(&n, "adaptformer/0/up", 0, 0);
    check_start(&n, "adaptformer/0/up_bias", 0, 0);
    check_start(&n, "vpt/1/prompt", -prompt, prompt);
    check_start(&n, "vqt/0/prompt", -prompt, prompt);
    check_start(&n, "vqt/1/combine", 1, 1);
    check_start(&n, "ia3/1/scale.act", 1, 1);
    start_of(&n, "ssf/0/scale.FC1", found);
    assert_true(fabs(found[2] - 1) < 0.01 && found[1] - found[0] > 0.04 && found[1] - found[0] < 0.2);
    start_of(&n, "ssf/shift.NORM", found);
    assert_true(fabs(found[2]) < 0.02 && found[1] - found[0] > 0.03 && found[1] - found[0] < 0.2);
    tiny_close(&n);
}

static void bottlenecks_start_as_their_papers_say(void **state)
{
    (void)state;
    struct tiny n = {0};
    double xavier = sqrt(6.0 / (24 + 16)), found[3];
    tiny_must(tiny_stack(&n,
                         "repadapter[r=16]+convpass[r=16]+convpass[conv=xavier,init=osu_release]+arc[r=200]+"
                         "adapter_plus[r=32]",
                         &tiny_shape));
    check_start(&n, "repadapter/1/a.NORM2", -xavier, xavier);
    check_start(&n, "repadapter/0/b.NORM1", 0, 0);
    check_start(&n, "convpass/0/down.MLP_OUT", -xavier, xavier);
    check_start(&n, "convpass/1/up.ATTN_OUT", 0, 0);
    start_of(&n, "convpass/1/conv.ATTN_OUT", found);
    assert_true(found[0] == 0 && found[1] == 1 && fabs(found[2] - 1.0 / (9 * 16)) < 1e-7);
    check_start(&n, "convpass-2/1/conv.MLP_OUT", -sqrt(6.0 / (18 * 8)), sqrt(6.0 / (18 * 8)));
    start_of(&n, "convpass-2/0/up.ATTN_OUT", found);
    assert_true(fabs(found[2]) < 0.01 && found[1] > 0.03 && found[1] < 0.1);
    check_start(&n, "arc/p.NORM1", -sqrt(6.0 / 224), sqrt(6.0 / 224));
    check_start(&n, "arc/1/c.NORM1", 0, 0);
    check_start(&n, "arc/1/c.NORM2", -sqrt(6.0 / 201), sqrt(6.0 / 201));
    check_start(&n, "adapter_plus/0/up", -0.02, 0.02);
    check_start(&n, "adapter_plus/1/scale", 1, 1);
    tiny_close(&n);
    assert_int_equal(tiny_stack(&n, "repadapter[r=9]", &tiny_shape), ERR_PLUGIN);
    assert_non_null(strstr(error_text(), "groups must divide r"));
    tiny_close(&n);
}

/* As their papers and HF peft start them: no effect, and what must not be zero random. */
static void updates_and_rotations_start_as_their_papers_say(void **state)
{
    (void)state;
    struct tiny n = {0};
    double dim = 1 / sqrt(768.0), eighth = 1 / sqrt(8.0), found[3];
    tiny_must(tiny_stack(&n, "dora+vera+loha+lokr+oft+boft", &vit_b));
    check_start(&n, "dora/0/a", -dim, dim);
    check_start(&n, "dora/0/b", 0, 0);
    check_start(&n, "dora/11/m", 0, 0);
    check_start(&n, "vera/a0", -sqrt(6.0 / 768), sqrt(6.0 / 768));
    check_start(&n, "vera/b0", -sqrt(6.0 / 256), sqrt(6.0 / 256));
    check_start(&n, "vera/3/b", 0, 0);
    start_of(&n, "vera/3/d", found);
    assert_true(found[0] == (double)0.1f && found[1] == (double)0.1f);
    check_start(&n, "loha/0/a1", -eighth, eighth);
    check_start(&n, "loha/0/b1", -dim, dim);
    check_start(&n, "loha/0/a2", -eighth, eighth);
    check_start(&n, "loha/0/b2", 0, 0);
    check_start(&n, "lokr/0/w1", 0, 0);
    check_start(&n, "lokr/0/w2a", -eighth, eighth);
    check_start(&n, "lokr/0/w2b", -1 / sqrt(32.0), 1 / sqrt(32.0));
    check_start(&n, "oft/0/q", 0, 0);
    check_start(&n, "boft/0/m", 0, 0);
    check_start(&n, "boft/0/scale", 1, 1);
    tiny_close(&n);
}

static void the_studys_methods_start_as_intended_or_as_released(void **state)
{
    (void)state;
    struct tiny n = {0};
    const double kaiming = 1 / sqrt(24.0), released = 4 * 0.02; /* four deviations */
    const struct {
        const char *name;
        double bound; /* uniform within; 0: zero, negative: normal, all within -bound */
    } starts[] = {
        {"fact_tt/U", kaiming},
        {"fact_tt/V", 0},
        {"fact_tt/1/S.QKV", 1 / sqrt(16.0)},
        {"fact_tt/0/S.FC2", 1 / sqrt(64.0)},
        {"fact_tt-2/U", -released},
        {"fact_tt-2/V", -released},
        {"fact_tt-2/1/S.FC1", -released},
        {"fact_tk/U", kaiming},
        {"fact_tk/V", 0},
        {"fact_tk/C", sqrt(3.0) / 32},
        {"fact_tk/1/P.FC1", sqrt(6.0 / (32 + 12 * 2))},
        {"fact_tk-2/V", -released},
        {"fact_tk-2/C", sqrt(3.0) / 32},
        {"houlsby/1/down.ATTN_OUT", sqrt(6.0 / (24 + 8))},
        {"houlsby/0/up.MLP_OUT", sqrt(6.0 / (24 + 8))},
        {"houlsby/0/up_bias.MLP_OUT", -4e-6},
        {"houlsby-2/0/up.MLP_OUT", 0},
        {"houlsby-2/0/down.MLP_OUT", kaiming},
        {"houlsby-2/0/up_bias.ATTN_OUT", 0},
        {"houlsby-3/1/up.ATTN_OUT", -released},
        {"pfeiffer/1/down", sqrt(6.0 / (24 + 16))},
        {"pfeiffer/1/up", 0},
        {"pfeiffer-2/1/up", -released},
        {"adaptformer/0/up", -released},
        {"adaptformer/0/down", -released},
    };
    tiny_must(tiny_stack(&n,
                         "fact_tt+fact_tt[init=osu_release]+fact_tk+fact_tk[init=osu_release]+houlsby+"
                         "houlsby[init=lora_kaiming]+houlsby[init=osu_release]+pfeiffer+"
                         "pfeiffer[init=osu_release]+adaptformer[init=osu_release]+difffit",
                         &tiny_shape));
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        const double bound = fabs(starts[i].bound);
        double found[3];
        if (starts[i].bound >= 0)
            check_start(&n, starts[i].name, -bound, bound);
        start_of(&n, starts[i].name, found);
        assert_true(found[0] >= -bound && found[1] <= bound && found[1] - found[0] >= 0.75 * bound);
    }
    check_start(&n, "difffit/1/scale.MLP_OUT", 1, 1);
    tiny_close(&n);
}

static void check_refusal(const char *text, const struct vit_shape *shape, const char *why)
{
    struct tiny n = {0};
    assert_int_equal(tiny_stack(&n, text, shape), ERR_PLUGIN);
    assert_string_equal(error_text(), why);
    tiny_close(&n);
}

static void models_that_a_method_cannot_serve_are_refused(void **state)
{
    (void)state;
    struct vit_shape wide = tiny_shape;
    wide.hidden = 5 * wide.dim;
    check_refusal("fact_tt", &wide, "fact_tt: it needs a model whose MLP is 4 times as wide as its tokens");
    check_refusal("fact_tk", &wide, "fact_tk: it needs a model whose MLP is 4 times as wide as its tokens");
    check_refusal("selective[blocks=3]", &tiny_shape,
                  "selective: it is to unfreeze more blocks than the model has; lower blocks");
}

static void a_start_depends_on_seed_and_name_alone(void **state)
{
    (void)state;
    struct tiny one = {0}, two = {0};
    float a[8 * 24], b[8 * 24], c[8 * 24], d[8 * 24];
    size_t id;
    tiny_must(tiny_stack(&one, "lora", &tiny_shape));
    tiny_must(tiny_stack(&two, "adaptformer+lora", &tiny_shape));
    find(&one, "lora/1/a", &id);
    tiny_must(method_initial(one.method, id, 3, a));
    tiny_must(method_initial(one.method, id, 4, b));
    tiny_must(method_initial(one.method, id - 2, 3, c));
    find(&two, "lora/1/a", &id);
    tiny_must(method_initial(two.method, id, 3, d));
    assert_memory_equal(a, d, sizeof a);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    tiny_close(&one);
    tiny_close(&two);
}

static void what_trains_is_what_the_method_says(void **state)
{
    (void)state;
    struct tiny n = {0};
    size_t id;
    tiny_must(tiny_stack(&n, "bitfit", &tiny_shape));
    assert_int_equal(find(&n, "cls_token", &id)->kind, LEAF_FROZEN);
    assert_int_equal(find(&n, "blocks.1.attn.qkv.weight", &id)->kind, LEAF_FROZEN);
    assert_int_equal(find(&n, "blocks.1.attn.qkv.bias", &id)->kind, LEAF_TRAINABLE);
    assert_int_equal(find(&n, "head.weight", &id)->kind, LEAF_TRAINABLE);
    assert_true(find(&n, "head.weight", &id)->is_head);
    tiny_close(&n);
    tiny_must(tiny_stack(&n, "lora+ssf", &tiny_shape));
    assert_int_equal(find(&n, "blocks.1.attn.qkv.bias", &id)->kind, LEAF_FROZEN);
    assert_int_equal(find(&n, "lora/1/b", &id)->wise, VITRO_TO_ZERO);
    assert_int_equal(find(&n, "ssf/scale.EMBED", &id)->wise, VITRO_TO_ONE);
    assert_int_equal(find(&n, "ssf/scale.EMBED", &id)->block, -1);
    tiny_close(&n);
}

static void only_methods_with_a_neutral_point_interpolate(void **state)
{
    (void)state;
    static const int expected[] = {1, 1, 1, 1, 0, 1, 1, 1, 2, 2, 2}; /* 2: the merged weights */
    struct tiny n = {0};
    struct method_part part;
    tiny_must(
        tiny_stack(&n, "lora+ssf+adaptformer+full+vpt+vera+loha+lokr+dora+oft[block=8]+boft", &tiny_shape));
    for (size_t i = 0; i < method_parts(n.method); i++) {
        tiny_must(method_part(n.method, i, &part));
        assert_int_equal(part.interpolates, expected[i]);
    }
    tiny_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counts_are_the_studys_and_the_plugins_own),
        cmocka_unit_test(the_counts_of_clip_are_the_studys_as_well),
        cmocka_unit_test(a_stack_counts_shared_tensors_once),
        cmocka_unit_test(merged_weights_give_the_hooked_logits),
        cmocka_unit_test(what_cannot_be_merged_says_so),
        cmocka_unit_test(parameters_start_as_the_papers_say),
        cmocka_unit_test(bottlenecks_start_as_their_papers_say),
        cmocka_unit_test(updates_and_rotations_start_as_their_papers_say),
        cmocka_unit_test(the_studys_methods_start_as_intended_or_as_released),
        cmocka_unit_test(models_that_a_method_cannot_serve_are_refused),
        cmocka_unit_test(a_start_depends_on_seed_and_name_alone),
        cmocka_unit_test(what_trains_is_what_the_method_says),
        cmocka_unit_test(only_methods_with_a_neutral_point_interpolate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

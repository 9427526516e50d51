/* adapter.h - an adapter in memory, as peft keeps it: for each block and layer some tensors, and a few numbers. */
#ifndef VITRO_PEFT_ADAPTER_H
#define VITRO_PEFT_ADAPTER_H

#include "hash.h"
#include "json.h"
#include "memory.h"
#include "model.h"
#include "peft.h"

/* Layers of a block. Q, K and V are QKV in three. */
#define PEFT_PLACES(X) X(QKV) X(Q) X(K) X(V) X(PROJ) X(FC1) X(FC2)
enum peft_place {
#define X(id) PEFT_##id,
    PEFT_PLACES(X)
#undef X
        PEFT_PLACE_COUNT
};
#define PEFT_BIT(place) (1u << PEFT_##place)
enum { PEFT_PARTS = 1u << PEFT_Q | 1u << PEFT_K | 1u << PEFT_V };
extern const char *const peft_place_names[]; /* "QKV" */

/* How a tensor of a qkv layer becomes three, of q, k and v, and how three become one. */
enum peft_rule {
    PEFT_ROWS,   /* rows of the layer: a third each; rows of an absent layer are neutral */
    PEFT_ACROSS, /* [rows, r]: a third of the rows each; joined block by block along both axes */
    PEFT_INSIDE, /* [r ..]: the same for all three; joined one below the other */
    PEFT_EQUAL,  /* the same for all three; joined only where they are equal */
    PEFT_NEVER,  /* neither */
};
/* id, name in files, rule, neutral row */
#define PEFT_LEAVES(X)                             \
    X(LORA_A, "lora_A.weight", INSIDE, 0)          \
    X(LORA_B, "lora_B.weight", ACROSS, 0)          \
    X(MAGNITUDE, "lora_magnitude_vector", ROWS, 0) \
    X(SVD_A, "lora_A", INSIDE, 0)                  \
    X(SVD_B, "lora_B", ACROSS, 0)                  \
    X(SVD_E, "lora_E", INSIDE, 0)                  \
    X(IA3_L, "ia3_l", ROWS, 1)                     \
    X(VERA_D, "vera_lambda_d", INSIDE, 0)          \
    X(VERA_L, "vera_lambda_b", ROWS, 0)            \
    X(HADA_W1_A, "hada_w1_a", ACROSS, 0)           \
    X(HADA_W1_B, "hada_w1_b", INSIDE, 0)           \
    X(HADA_W2_A, "hada_w2_a", ACROSS, 0)           \
    X(HADA_W2_B, "hada_w2_b", INSIDE, 0)           \
    X(LOKR_W1, "lokr_w1", NEVER, 0)                \
    X(LOKR_W2, "lokr_w2", NEVER, 0)                \
    X(LOKR_W1_A, "lokr_w1_a", NEVER, 0)            \
    X(LOKR_W1_B, "lokr_w1_b", NEVER, 0)            \
    X(LOKR_W2_A, "lokr_w2_a", NEVER, 0)            \
    X(LOKR_W2_B, "lokr_w2_b", NEVER, 0)            \
    X(OFT_R, "oft_R.weight", EQUAL, 0)             \
    X(BOFT_R, "boft_R", EQUAL, 0)                  \
    X(BOFT_S, "boft_s", ROWS, 1)
enum peft_leaf {
#define X(id, name, rule, neutral) PEFT_##id,
    PEFT_LEAVES(X)
#undef X
        PEFT_LEAF_COUNT
};
struct peft_leaf_info {
    const char *name;
    enum peft_rule rule;
    float neutral;
};
extern const struct peft_leaf_info peft_leaves[PEFT_LEAF_COUNT];

/* peft_type, its first leaf, how many there are of it */
#define PEFT_TYPES(X)     \
    X(LORA, LORA_A, 3)    \
    X(ADALORA, SVD_A, 3)  \
    X(IA3, IA3_L, 1)      \
    X(VERA, VERA_D, 2)    \
    X(LOHA, HADA_W1_A, 4) \
    X(LOKR, LOKR_W1, 6)   \
    X(OFT, OFT_R, 1)      \
    X(BOFT, BOFT_R, 2)
enum peft_type_id {
#define X(id, first, count) PEFT_TYPE_##id,
    PEFT_TYPES(X)
#undef X
        PEFT_TYPE_COUNT
};
struct peft_type_info {
    const char *name;
    enum peft_leaf first;
    int count;
};
extern const struct peft_type_info peft_types[PEFT_TYPE_COUNT];

struct peft_tensor { /* data NULL: there is none */
    struct shape shape;
    float *data;
};

struct peft_adapter { /* a zeroed one is empty */
    struct arena arena;
    const char *folder; /* in sentences */
    const struct vit *vit;
    enum peft_names names;
    const char *prefix; /* of layers' names below "base_model.model.": "", "vit." */
    enum peft_type_id type;
    uint32_t places;             /* bits: the layers that have an adapter, the same in every block */
    struct peft_tensor *tensors; /* [depth][PEFT_PLACE_COUNT][PEFT_LEAF_COUNT]; magnitudes less |W|'s rows */
    struct peft_tensor vera_a, vera_b, head_weight, head_bias; /* vera's are of all blocks */
    /* of the configuration, where the type has it */
    double scale; /* of updates: alpha / r and its kin */
    int32_t r;    /* as the file says it; tensors have the final word */
    int dora;
    double dropout;
    int exact, shared; /* OFT: Cayley's rotation itself; one block for all */
    int32_t block, factors;
    /* of what was read */
    char hash[HASH_TEXT], left[256];
    char *method;
};

struct peft_tensor *peft_at(const struct peft_adapter *a, int32_t block, enum peft_place place,
                            enum peft_leaf leaf);
/* Room for a tensor, zeroed. */
int peft_make(struct peft_adapter *a, struct peft_tensor *t, struct shape shape);
int peft_prepare(struct peft_adapter *a, const struct vit *vit, const char *folder);
int32_t peft_inputs(const struct vit_shape *s, enum peft_place place);
int32_t peft_outputs(const struct vit_shape *s, enum peft_place place);
const struct vit_tensor *peft_weight(const struct vit *vit, int32_t block,
                                     enum peft_place place); /* Q: of QKV */
/* Row `i`'s length of a layer's weights. */
double peft_row_norm(const struct vit *vit, int32_t block, enum peft_place place, int32_t i);

/* names.c: with the place's name in this adapter's style, "base_model.model.blocks.3.attn.qkv.lora_A.weight". */
enum { PEFT_NAME = 192 };
int peft_fused(enum peft_names names); /* qkv is one layer */
const char *const *peft_prefixes(enum peft_names names);
int peft_has_place(enum peft_names names, enum peft_place place);
char *peft_layer_name(const struct peft_adapter *a, int32_t block, enum peft_place place,
                      char out[PEFT_NAME]);
char *peft_tensor_name(const struct peft_adapter *a, int32_t block, enum peft_place place,
                       enum peft_leaf leaf, char out[PEFT_NAME]);
const char *peft_head_name(enum peft_names names); /* "classifier" */
/* A regular expression that the names of the layers match as a whole. */
char *peft_pattern(const struct peft_adapter *a, uint32_t places, char *out, size_t size);

/* restyle.c: every tensor at QKV to Q, K and V, or the other way. */
int peft_split(struct peft_adapter *a);
int peft_join(struct peft_adapter *a);
int peft_parts_alike(const struct peft_adapter *a); /* what is not of rows is the same in all of Q, K and V */

/* config.c */
int peft_config_read(struct peft_adapter *a, const struct json *config, const char *path);
int peft_config_check_layers(const struct peft_adapter *a, const struct json *config, const char *path);
int peft_config_write(const struct peft_adapter *a, const char *base, const char *path);

/* tensors.c: the file of tensors. Reading finds names and places, and checks every shape. */
int peft_tensors_read(struct peft_adapter *a, const char *path);
int peft_tensors_write(struct peft_adapter *a, const char *path);

/* import.c: the stack that does what the adapter does, into a->method; splits and joins where it has to. */
int peft_choose(struct peft_adapter *a);

#endif

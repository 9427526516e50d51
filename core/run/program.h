/* program.h - a tape on its way to a command buffer: storage slots and units of work, before and after
 * memory is planned. Private to core/run.
 *
 * Lowering turns each live value into work on slots. Addresses are unknown until then: push constants
 * hold references, patched when every slot has its place. The first error sticks; later calls do
 * nothing; program_finish returns it. */
#ifndef VITRO_RUN_PROGRAM_H
#define VITRO_RUN_PROGRAM_H

#include "bank.h"
#include "engine.h"
#include "memory.h"
#include "push.h"
#include "run.h"
#include "tape.h"

enum { WORK_REFS = 8, WORK_CONSTANTS = 16 };

struct slot { /* a piece of device memory */
    const char *name;
    uint64_t bytes;
    uint64_t address;   /* known from the start, or after planning */
    value of;           /* what it was made for; 0: the step itself */
    const struct tape *tape; /* that `of` is on; after program_join */
    int fixed;          /* its address was known from the start */
    int constant;       /* filled once, by the set-up */
    int kept;           /* keeps its contents between steps: constants and what the host writes */
    int32_t first, last; /* groups of work that touch it */
};

struct ref { /* a place in a slot; slot 0 is none */
    uint32_t slot;
    uint64_t offset; /* bytes */
};

struct work { /* one dispatch */
    enum shader shader;
    const struct kernel *custom; /* in the shader's stead, or NULL */
    uint32_t constants[WORK_CONSTANTS], constant_count;
    unsigned char push[KERNEL_PUSH_MAX];
    uint32_t push_bytes;
    struct ref refs[WORK_REFS]; /* the addresses that head the push constants, in order */
    uint32_t ref_count, writes; /* bit i: refs[i] is written */
    uint32_t groups[3];
    int setup;          /* runs once, when the program is made */
    uint32_t part;      /* of a joined program: which of them it is from */
    int32_t group;      /* works of one group run without barriers between them */
    double flops, bytes; /* bytes 0: those of its operands */
    const char *label;
    value of; /* the value that it was emitted for; 0: the step's own */
};

struct fusion { /* a matrix product and what its epilogue takes over; product 0: none */
    value product, bias, residual, keep; /* keep: the value before the activation, wanted elsewhere */
    value back;                          /* multiply by fn'(back) */
    value second;                        /* another product, computed and added in the same kernel */
    int32_t fn;                          /* of activation or back */
    int activation;
    float alpha, second_alpha;
};

struct norm_params { /* sums over rows, 0: not wanted */
    value gain, bias;
};

struct use { /* of a root by live values */
    uint32_t count;
    value first;
};

/* Copies of a value that products read in its stead. */
enum layout {
    LAYOUT_PANELS,   /* pack_cpu.comp, of B as it is */
    LAYOUT_PANELS_T, /* of B transposed */
    LAYOUT_HALF,     /* as halves of the program's number */
    LAYOUT_ROUNDED,  /* floats, rounded to it */
    LAYOUT_WIDE      /* floats, of a value that is stored as halves */
};
struct copy_memo { /* copies that were made in this program */
    struct copy_memo *next;
    value of;
    enum layout layout;
    uint32_t slot;
};

struct program {
    struct engine *engine;
    const struct tape *tape;
    struct bank *bank;
    struct arena arena;
    int rc;
    unsigned char *live, *constant, *absorbed; /* per value */
    unsigned char *kernels;                    /* per custom value: its kernel runs */
    uint32_t *slot_of;                         /* per value; 0: none yet */
    struct fusion *fusions;                    /* per value: where an epilogue ends */
    value *norm_back; /* per addition: the normalisation's gradient that it adds to */
    value *summed;    /* per sum over rows: the elementwise product that it adds up */
    value *chained;   /* per sum or product: the elementwise op that it goes on from, in one kernel */
    value *norm_add;  /* per normalisation: the addition before it, which it computes too */
    unsigned char *in_panels; /* per value: it is kept in panels (gemm_cpu.h); [0] is 0 */
    struct norm_params *norm_params; /* per normalisation's gradient: those of its parameters */
    unsigned char *multiplied; /* per value: only products and attention that rounds read it; see halves.c */
    unsigned char *halves;     /* per value: its producer stores it as halves of `number` */
    struct slot *slots;
    uint32_t slot_count, slot_room;
    struct work *works;
    uint32_t work_count, work_room;
    struct copy_memo *copies;
    enum number number; /* what the operands of products are rounded to */
    uint32_t control; /* the slot of the control block */
    value now;        /* the value being lowered */
    struct run_alive *alive; /* at the peak of the activations, the largest first, where run_spec.explain asks */
    uint32_t alive_count;
    const unsigned char *idle; /* of a joined program, per part: its works are left out of steps; NULL: none is */
    struct note *notes; /* of a profile: on the works of a step, in order; else NULL */
};

/* Storage. Values that only rename another share its slot: op_renames, and a custom value that no kernel computes, which
 * renames its equivalent. */
int program_renames(const struct program *p, value v);
value program_root(const struct program *p, value v);
uint32_t program_slot(struct program *p, const char *name, uint64_t bytes);
uint32_t program_slot_at(struct program *p, const char *name, uint64_t bytes, uint64_t address);
struct ref program_value(struct program *p, value v); /* floats; made on first use */
/* The same for the kernel that computes v. Where that can store halves of p->number, and nobody wants more, v is
 * stored so from now on, and *halves. */
struct ref program_result(struct program *p, value v, int can_be_halves, int *halves);
static inline struct ref ref_at(struct ref r, int64_t floats)
{
    r.offset += (uint64_t)(floats * 4);
    return r;
}

/* How many pieces of size `each` cover `count`. */
static inline uint32_t tiles(uint32_t count, uint32_t each)
{
    return (count + each - 1) / each;
}

/* Appends a dispatch; `push` holds the struct of the shader with zero addresses. Returns a pointer for
 * setting flops, bytes and constants, valid until the next call; never NULL (a dummy after errors). */
struct work *program_emit(struct program *p, enum shader shader, const void *push, uint32_t push_bytes,
                          const struct ref *refs, uint32_t ref_count, uint32_t writes,
                          const uint32_t groups[3]);
void program_refuse(struct program *p, int rc); /* the sentence is set already */
void program_finish(struct program *p);

struct pieces { /* an arena, in as many buffers as the device's largest one asks for */
    struct buffer *buffers;
    uint32_t count;
    uint64_t each, bytes;
};
struct memory { /* of a program */
    struct pieces activations, kept;
};
/* Puts the work in order, in groups between barriers: sets works[].group and the slots' lives. */
int schedule_works(struct program *p);
/* Makes one program, zeroed before, of several whose works are in order. */
int program_join(struct program *all, struct program *const *parts, uint32_t count, enum run_together together);
/* Gives every slot its place, patches the addresses. */
int memory_plan(struct memory *m, struct program *p);
void memory_finish(struct memory *m, struct device *d);
/* Writes bytes at an address inside the kept buffers. */
int memory_write(struct memory *m, struct device *d, uint64_t address, const void *bytes, size_t size);

/* The place of a copy: of a frozen tensor once, in the bank, for all programs; of others in this program.
 * *fresh: the caller must emit the work that fills it, marked as set-up where the value is constant. */
struct ref program_copy(struct program *p, value v, enum layout layout, uint64_t bytes, int *fresh);
/* The value rounded to p->number, as LAYOUT_HALF or LAYOUT_ROUNDED, filled. */
struct ref program_narrow(struct program *p, value v, enum layout layout);
/* Whether it is there as halves of p->number already. */
int program_has_half(const struct program *p, value v);
struct stored { /* a value as a kernel finds it, or leaves it */
    struct ref at;
    int halves; /* of p->number; else floats */
};
/* For a kernel that rounds what it reads to p->number: halves where they are there, or where it `needs` them. */
struct stored program_operand(struct program *p, value v, int needs);
/* What the value is stored as: a frozen leaf by the bank, another by program_result. */
enum number program_kept_as(const struct program *p, value v);
/* The floats of a value that is stored as halves, made once. */
struct ref program_widen(struct program *p, value v);

/* A strided view of up to four axes: the outermost may be merged by map_emit. */
struct view {
    int64_t size[SHAPE_RANK];
    int64_t out[SHAPE_RANK], a[SHAPE_RANK], b[SHAPE_RANK]; /* strides in floats */
};
enum map { MAP_COPY, MAP_ADD, MAP_MUL, MAP_AFFINE, MAP_UNARY, MAP_UNARY_BACK, MAP_DROPOUT, MAP_FILL };
struct map_work {
    enum map map;
    int32_t fn;
    struct view view;
    struct ref out, a, b; /* b: none for maps of one operand */
    int halves;           /* out is stored as halves: its rows begin and end at even numbers */
    enum map then;        /* MAP_ADD or MAP_MUL: the result goes on with c; 0 (MAP_COPY): it does not */
    struct ref c;
    int c_as_b;           /* c's strides are b's, else out's */
    float scale, shift;
    uint32_t stream, threshold, first_draw; /* of dropout */
};
void map_emit(struct program *p, const struct map_work *m);

/* Work for the value p->now = v with node n. */
#define OP(NAME, name, arity) void lower_##name(struct program *p, value v, const struct node *n);
#include "ops.def"
#undef OP
struct ladder_choice;
struct product;
struct product product_of(const struct program *p, const struct node *n); /* of a matmul */
void lower_gemm(struct program *p, value out, const struct fusion *f);
void lower_gemm_gpu(struct program *p, value out, const struct fusion *f, const struct product *r,
                    const struct ladder_choice *choice);
enum { EPILOGUE_BIAS = 1, EPILOGUE_RESIDUAL = 2, EPILOGUE_PRE = 4, EPILOGUE_ACT = 8, EPILOGUE_BACK = 16 };
uint32_t fusion_epilogue(const struct fusion *f);
void lower_norm_back_sum(struct program *p, value sum, value back);
/* Whether a normalisation's kernel holds rows of `width` floats in registers: only such ones add before. */
int norm_in_registers(const struct program *p, int64_t width);
/* Whether its gradient's kernel gives the parameters' gradients, too: in registers, or lavapipe's. */
int norm_gives_params(const struct program *p, int64_t width);

/* Whether attention n, forward or backward, takes the kernels on matrix units, which round what products would. */
int attention_rounds(struct program *p, const struct node *n);
/* Whether the gradient of attention n may be in panels. */
int attention_leaves_panels(struct program *p, const struct node *n);

/* Finds which custom values are computed by their own kernels: fills p->kernels, and p->live accordingly. */
int choose_customs(struct program *p, const value *roots, size_t count);

/* The operand of a two-operand value that is not `of`, as a root; 0 when both are or neither is. */
value other_operand(const struct program *p, value v, value of);

/* Finds what may be stored as halves: fills p->multiplied. */
void find_multiplied(struct program *p, const value *roots, size_t count);

/* Finds what kernels take over: fills p->fusions, p->norm_back, p->summed and p->absorbed; the roots
 * stay. */
void fuse_epilogues(struct program *p, const value *roots, size_t count);
/* The rest of it, without products: pairs of elementwise ops, additions before normalisations, gradients of
 * normalisations' parameters. */
void fuse_rows(struct program *p, const struct use *uses);
/* Then, in the style of CPU devices: which values only products and sums read, who take them in panels: fills
 * p->in_panels. */
void find_panels(struct program *p, const struct use *uses);

#endif

/* ladder.h - which kernel computes a matrix product: the rungs, from matrix units of whole workgroups down to
 * the style of a CPU device, their tiles, and which of them an engine takes for a product.
 *
 * A tuner goes over ladder_candidates, times each through ladder_set, and keeps ladder_text of the best in a
 * file, from which ladder_parse and ladder_set bring it back. Whatever is chosen, the product is the same up
 * to the order of its sums; the same choice gives the same bits.
 *
 * VITRO_LADDER=RUNG in the environment allows only tiles of that rung where any of them suits: for tests and
 * comparisons. */
#ifndef VITRO_RUN_LADDER_H
#define VITRO_RUN_LADDER_H

#include "device.h"
#include "number.h"

struct engine;

/* enumerator, name, what it is */
#define RUNGS(X)                                                                             \
    X(WORKGROUP, workgroup, "matrix units of a whole workgroup (VK_NV_cooperative_matrix2)") \
    X(SUBGROUP, subgroup,                                                                    \
      "matrix units of a subgroup (VK_KHR_cooperative_matrix), operands in shared memory")   \
    X(PACKED, packed, "fp16 operands in shared memory, sums in fp32 registers")              \
    X(TILED, tiled, "fp32 tiles in shared memory and registers")                             \
    X(CPU, cpu, "a subgroup a tile, no shared memory: for software drivers")
enum rung {
#define X(NAME, name, words) RUNG_##NAME,
    RUNGS(X)
#undef X
        RUNG_COUNT
};
extern const char *const rung_names[RUNG_COUNT];

struct tile { /* how a workgroup computes rows x columns of C; the CPU rung has one, whose sizes follow from
                 the product */
    const char *name; /* unique: "tiled 64x64" */
    enum rung rung;
    uint32_t rows, columns, depth; /* depth: steps of k between two barriers */
    uint32_t m, n;        /* PACKED, TILED: rows and columns of an invocation; SUBGROUP: of a subgroup */
    uint32_t invocations; /* WORKGROUP: of a workgroup; elsewhere it follows */
    uint32_t buffers;     /* slices of the operands that shared memory holds at once: 1 or 2 */
};

struct product { /* [batches][m][k] x [batches][k][n] */
    uint32_t batches, m, n, k;
    int a_t, b_t;             /* the operand is stored transposed: A as [k][m], B as [n][k] */
    int a_batched, b_batched; /* else one matrix serves the whole batch */
    enum number number;       /* operands are rounded to it */
};

struct ladder_choice {
    const struct tile *tile;
    uint32_t splits; /* parts of k, computed apart and added up in order; 1: none */
};

/* Every choice that `product` has on this engine's device, the likeliest first; returns how many, at most
 * `room`. There is always one. */
uint32_t ladder_candidates(const struct engine *e, const struct product *product, struct ladder_choice *out,
                           uint32_t room);
/* What a program made now takes: what was set, or else the likeliest. */
struct ladder_choice ladder_choose(const struct engine *e, const struct product *product);
/* Fixes the choice for products of this shape, layout and precision, from the next program on. Refuses a tile
 * that does not suit. */
int ladder_set(struct engine *e, const struct product *product, const struct ladder_choice *choice);
/* Every product that the choice suits takes it, before all else; NULL or without a tile: no longer. Returns what did so
 * until then. */
struct ladder_choice ladder_pin(struct engine *e, const struct ladder_choice *choice);
/* Never to be used on this engine again: its results were wrong here. */
void ladder_forbid(struct engine *e, const struct tile *tile);

/* "tiled 64x64", "tiled 64x64 / 4" for four splits; and back, refusing what is none. */
enum { LADDER_TEXT = 48 };
const char *ladder_text(const struct ladder_choice *choice, char out[LADDER_TEXT]);
int ladder_parse(const char *text, struct ladder_choice *out);
/* "1576x768x192 nt fp16", with a batch "6: 37x19x40 nn fp32": the key of a tuner's file. */
enum { PRODUCT_TEXT = 96 };
const char *product_text(const struct product *p, char out[PRODUCT_TEXT]);

/* All tiles, ended by a NULL name: for tests and tables. */
extern const struct tile ladder_tiles[];
/* Whether the tile can compute the product on this device at all. */
int ladder_suits(const struct engine *e, const struct tile *tile, const struct product *product);

/* Whether this engine takes from the tile's rung: that of its style, or the only one that is allowed. */
int ladder_serves(const struct engine *e, const struct tile *tile);
/* Invocations of its workgroups here, and of SUBGROUP the matrix that it is put together of. */
uint32_t ladder_invocations(const struct engine *e, const struct tile *tile);
const struct device_matrix *ladder_matrix(const struct engine *e, const struct tile *tile,
                                          enum number number);
/* The largest matrix of subgroups that rows x columns x depth are whole numbers of; NULL: the device has none that
 * can be used. */
const struct device_matrix *ladder_unit(const struct engine *e, enum number number, uint32_t rows,
                                        uint32_t columns, uint32_t depth);
/* Of kernels that have only the choice between matrix units of subgroups and fp32, which is attention's: whether the
 * style and the rung that is allowed ask for the former. A workgroup's units are none for it and ask for a subgroup's. */
int ladder_takes_units(const struct engine *e);

/* An engine's own part: what was set and forbidden. Reads VITRO_LADDER. */
struct ladder;
int ladder_create(struct ladder **out);
void ladder_destroy(struct ladder *l); /* NULL is fine */
/* Allows only one rung where one of its tiles suits, as VITRO_LADDER does; RUNG_COUNT: all of them. */
void ladder_only(struct engine *e, enum rung rung);

#endif

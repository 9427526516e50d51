/* ops_private.h - one conversation with a plugin about arithmetic: where it stands, what it may ask. */
#ifndef VITRO_HOST_OPS_PRIVATE_H
#define VITRO_HOST_OPS_PRIVATE_H

#include "method_private.h"

enum phase { PHASE_FORWARD = 1, PHASE_BACKWARD = 2, PHASE_PENALTY = 4, PHASE_MERGE = 8 };
enum { DROP_LIMIT = 16 }; /* dropouts of one forward at one site; below STREAM_NTH */

struct record { /* one call of a forward, kept for its backward */
    struct trace *trace;
    const struct instance *in;
    vitro_site site;
    value x, y; /* what came in, what the network goes on with */
    value slots[VITRO_SLOTS];
    struct {
        float p;
        uint32_t axes;
    } drops[DROP_LIMIT];
    uint32_t drop_count;
};

enum { STREAM, KEYS, VALUES, FRONTS };
struct front { /* the tokens in front of the class token, outermost last: who put how many there */
    struct {
        int32_t owner, tokens;
    } *put;
    size_t count;
};

struct trace {               /* behind a struct method_trace */
    struct method_trace pub; /* first: method_trace_destroy's pointer leads back here */
    struct method *method;
    struct tape *tape;
    struct arena arena;
    int training, derive;
    const unsigned char *unfrozen; /* struct method_step's */
    value *leaves;   /* of the tensors */
    value *backbone; /* of the backbone's: its leaf, or in a merge what has become of it */
    value patch_bias; /* what a merge gives the patch projection of a model without a bias; 0: nothing */
    value *blocks;   /* [depth]: what enters each */
    value *seen;     /* [depth + 1][sites]: values after all hooks; 0: not there yet */
    struct front front[FRONTS];
    int in_equivalent; /* of a kernel, just now */
    int refused; /* it was a plugin that failed */
};

struct plugin_trace { /* what a plugin's vitro_trace pointer is */
    vitro_trace pub;  /* first */
    struct trace *trace;
    const struct instance *in;
    struct record *record; /* NULL in a penalty or a merge */
    enum phase phase;
    int32_t block;
};

extern const vitro_ops trace_ops;

struct plugin_trace plugin_trace(struct trace *tr, const struct instance *in, enum phase phase,
                                 int32_t block);
/* Sets the tape's place: "lora at QKV of block 3", `what` being "lora's backward", say. */
void trace_place(struct trace *tr, const char *what, int32_t site, int32_t block);
/* After a callback: puts the instance's own complaint, if any, on the tape. */
void trace_complaint(struct trace *tr, const struct instance *in);
/* Leaves for all tensors and room for sites; negative: out of memory. */
int trace_begin(struct trace *tr);

/* fronts.c: room for them; on the way to a site, where keys and values start with the stream's tokens and
 * the last norm must find none; what a hook made of its value's shape; and whether as many tokens are keys
 * as are values, `v` being these. Refusals go to the tape. */
int fronts_begin(struct trace *tr);
void fronts_arrive(struct trace *tr, int32_t kind);
void fronts_check(struct trace *tr, const struct record *r, value y);
void fronts_compare(struct trace *tr, int32_t block, value v);

#endif

/* session_private.h - a session's inside, for the files of this folder. */
#ifndef VITRO_TRAIN_SESSION_PRIVATE_H
#define VITRO_TRAIN_SESSION_PRIVATE_H

#include "feature_cache.h"
#include "products.h"
#include "recompute.h"
#include "run.h"
#include "session.h"

struct session {
    struct session_spec spec;
    const struct tensor *tensors;
    size_t count;
    struct bank *bank;
    unsigned char *halves;      /* one per tensor: only products read it, and they round it; NULL: none */
    struct product_list *asked; /* the products that its programs are made of */
    int prepared;               /* what plugins do before the first step lies behind it */
    struct told *told;          /* frozen tensors that were set by hand */
    unsigned char *unfrozen;    /* of a scan: one per tensor, the gradients it wants; else NULL */
};
struct told { /* a tensor's numbers, kept for a rebuilding */
    struct told *next;
    size_t tensor;
    float *data;
};
/* The bank anew, with the tensors as they were before the first step. */
int session_refill(struct session *s);
/* The bank, zeroed, of s->tensors: what training or plugins change lies in its arenas. */
int session_bank(struct session *s);

struct program_spec { /* what a program of a session does */
    const struct feed *feed;
    uint32_t batch, series;
    const struct recipe *recipe; /* NULL: evaluation */
    int update;                  /* with a recipe: apply AdamW */
    int scan;                    /* with a recipe: gradients as they are outside training, see steering.h */
    int profile;                 /* time every dispatch */
    int explain;                 /* remember what run_alive tells */
    int again;                   /* with a recipe: the forward part of blocks is computed again, not kept */
    struct features *features;   /* NULL, or what is to be computed once, see there */
};
struct net { /* a recorded step */
    struct tape *tape;
    struct method_trace *trace;
    value images, index, labels, weights, scale, loss;
    struct run_gradient *gradients;
    size_t gradient_count;
};

struct traced { /* a step as a run takes it; it refers to itself and to the program's features */
    struct net net;
    struct recompute again;
    value log;
    struct run_spec spec;
};
/* Traces and differentiates; to be finished whatever comes of it. */
int session_trace(struct session *s, const struct program_spec *p, struct traced *t);
void session_trace_finish(struct traced *t);
/* Which frozen tensors only products read: fills s->halves. */
int session_find_halves(struct session *s);

/* Traces, differentiates and compiles. Training logs the loss (1 number a step), evaluation the logits
 * ([batch][classes] a step). */
int session_program(struct session *s, const struct program_spec *spec, struct run **out);

#endif

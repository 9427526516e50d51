/* way.h - the way from the backbone to a trained model, in weight space: WiSE-FT (Wortsman et al. 2022,
 * arXiv 2109.01903), for every method that method_interpolation can lead back.
 *
 * At alpha 0 the network is the backbone, at alpha 1 the trained model: to the bit where parameters move, but for
 * rounding where merged weights do. The head of alpha 0 is the
 * caller's: the backbone's own where it knows the classes, that of a linear probe, or the trained one. One thread at a
 * time. */
#ifndef VITRO_TRAIN_WAY_H
#define VITRO_TRAIN_WAY_H

#include "session.h"
#include "way_head.h"

struct way_spec { /* lent for the way's life */
    struct engine *engine;
    struct method *method; /* the trained one */
    struct method *plain;  /* `linear`, declared against the same vit */
    const struct vit *vit;
    struct session *tuned; /* the trained tensors; the way uses it, and puts it back when it ends */
    float mean[3], std[3];
    uint64_t seed;
    enum way_head head;
    const float *weight, *bias; /* WAY_PROBE: [classes][dim], [classes] */
};

struct way;
int way_create(struct way **out, const struct way_spec *spec);
void way_destroy(struct way *w); /* NULL is fine */

/* Whether there is one by weights; else half a sentence why not, which the way keeps. */
const char *way_refusal(const struct way *w);   /* NULL: there is one */
enum interpolation way_by(const struct way *w); /* by parameters or by merged weights */

/* Logits [count][classes] at alpha; refused where way_refusal says why. */
int way_logits(struct way *w, float alpha, const struct images *images, uint32_t batch, float *logits);
/* Of the backbone by itself, with alpha 0's head: the plain network, without the method's hooks. */
int way_anchor(struct way *w, const struct images *images, uint32_t batch, float *logits);

#endif

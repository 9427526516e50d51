/* activation.h - the activations that an MLP here may have, by their names. */
#ifndef VITRO_VIT_ACTIVATION_H
#define VITRO_VIT_ACTIVATION_H

enum { VIT_ACTIVATION_GELU = 1, VIT_ACTIVATION_QUICK_GELU }; /* 0: what the file of weights says */
extern const char *const vit_activations[];                  /* auto, gelu, quick_gelu; ended by NULL */

#endif

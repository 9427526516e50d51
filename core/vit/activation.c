/* activation.c - see activation.h. */
#include "activation.h"

#include "model.h"

const char *const vit_activations[] = {"auto", "gelu", "quick_gelu", NULL};

const char *vit_activation(const struct vit_shape *s)
{
    return vit_activations[vit_has(s, VIT_QUICK_GELU) ? VIT_ACTIVATION_QUICK_GELU : VIT_ACTIVATION_GELU];
}

import torch
import torch.nn.functional as F
from torch import nn

import vit
from methods.lora import LAYERS, sizes


class PiSSA(vit.WithParams):
    """layer(x) += scale * x (B A - B0 A0)^T: the weight is W - scale B0 A0 + scale B A. Meng et al. 2024, equation 4.

    A0 and B0 stay; that they come from the singular values of W is checked elsewhere.
    """

    def __init__(self, model, rank, scale, layers):
        params = {}
        for layer in layers:
            inputs, outputs = sizes(model)[layer]
            for i in range(len(model.blocks)):
                for fixed in (False, True):
                    end = f"{0 if fixed else ''}{LAYERS[layer][1]}/{i}"
                    params["a" + end] = nn.Parameter(torch.zeros(rank, inputs), requires_grad=not fixed)
                    params["b" + end] = nn.Parameter(torch.zeros(outputs, rank), requires_grad=not fixed)
        super().__init__(params)
        self.layers, self.scale = layers, scale

    def at(self, site, block, x, seen):
        if site not in self.layers:
            return x
        source, end = LAYERS[site]
        a, b, a0, b0 = (self.params[f"{name}{end}/{block}"] for name in ("a", "b", "a0", "b0"))
        return x + F.linear(seen[source], self.scale * (b @ a - b0 @ a0))


GOLDENS = {"pissa": lambda model: PiSSA(model, rank=4, scale=6 / 4, layers=("QKV",)),
           "pissa_mlp": lambda model: PiSSA(model, rank=3, scale=1, layers=("FC1", "FC2"))}

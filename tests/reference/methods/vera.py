import torch
import torch.nn.functional as F
from torch import nn

import vit


class VeRA(vit.WithParams):
    """qkv += b * (B0 (d * (A0 u))) with A0 [r, D] and B0 [3D, r] random, frozen and shared by the blocks. Kopiczko 2024."""

    def __init__(self, model, rank):
        dim, depth = model.norm.weight.numel(), len(model.blocks)
        params = {"a0": nn.Parameter(torch.zeros(rank, dim), requires_grad=False),
                  "b0": nn.Parameter(torch.zeros(3 * dim, rank), requires_grad=False)}
        params.update({f"d/{i}": nn.Parameter(torch.zeros(rank)) for i in range(depth)})
        params.update({f"b/{i}": nn.Parameter(torch.zeros(3 * dim)) for i in range(depth)})
        super().__init__(params)

    def at(self, site, block, x, seen):
        if site != "QKV":
            return x
        hidden = self.params[f"d/{block}"] * F.linear(seen["NORM1"], self.params["a0"])
        return x + self.params[f"b/{block}"] * F.linear(hidden, self.params["b0"])


GOLDENS = {"vera": lambda model: VeRA(model, rank=10)}

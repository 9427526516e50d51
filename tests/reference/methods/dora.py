import torch
import torch.nn.functional as F
from torch import nn

import vit


class DoRA(vit.WithParams):
    """qkv = diag((|W| + m) / |V|) V u + bias, V = W + scale B A, row by row, |V| taken as a constant. Liu et al. 2024.

    m [3D] is the paper's magnitude less |W|, which it starts as; HF peft's parameter is |W| + m.
    """

    def __init__(self, model, rank, alpha):
        dim = model.norm.weight.numel()
        shapes = {"a": (rank, dim), "b": (3 * dim, rank), "m": (3 * dim,)}
        super().__init__({f"{name}/{i}": nn.Parameter(torch.zeros(shape))
                          for i in range(len(model.blocks)) for name, shape in shapes.items()})
        self.scale = alpha / rank
        self.linears = tuple(block.attn.qkv for block in model.blocks)

    def at(self, site, block, x, seen):
        if site != "QKV":
            return x
        a, b, m = (self.params[f"{name}/{block}"] for name in "abm")
        w = self.linears[block].weight
        v = w + self.scale * b @ a
        magnitude = w.detach().norm(dim=1) + m
        return F.linear(seen["NORM1"], (magnitude / v.detach().norm(dim=1))[:, None] * v, self.linears[block].bias)


GOLDENS = {"dora": lambda model: DoRA(model, rank=4, alpha=6)}

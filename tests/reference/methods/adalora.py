import torch
import torch.nn.functional as F
from torch import nn

import vit


class AdaLoRA(vit.WithParams):
    """qkv += strength / (r + 1e-5) * ((u A^T) * (kept * E)) B^T with A [r, D], E [r], B [3D, r]. Zhang et al. 2023.

    strength is HF peft's scaling (lora_alpha, or r); kept is 1, or 0 for what training masked. `seen` and `eye` do
    not enter here: the averages of training and the identity of the penalty.
    """

    def __init__(self, model, rank, strength):
        dim = model.norm.weight.numel()
        shapes = {"a": (rank, dim), "b": (3 * dim, rank), "e": (rank,)}
        fixed = {"kept": (rank,), "seen": (2, rank * (4 * dim + 1))}
        params = {f"{name}/{i}": nn.Parameter(torch.zeros(shape), requires_grad=name in shapes)
                  for i in range(len(model.blocks)) for name, shape in {**shapes, **fixed}.items()}
        super().__init__({**params, "eye": nn.Parameter(torch.eye(rank), requires_grad=False)})
        self.scale = strength / (rank + 1e-5)

    def at(self, site, block, x, seen):
        if site != "QKV":
            return x
        a, b, e, kept = (self.params[f"{name}/{block}"] for name in ("a", "b", "e", "kept"))
        return x + self.scale * F.linear(F.linear(seen["NORM1"], a) * (kept * e), b)


GOLDENS = {"adalora": lambda model: AdaLoRA(model, rank=5, strength=7)}

import torch
from torch import nn

import vit


class DiffFit(vit.WithParams):
    """x += gamma1 * attention(x), x += gamma2 * mlp(x), every bias and norm trains. Xie et al. 2023."""

    BRANCHES = ("ATTN_OUT", "MLP_OUT")

    def __init__(self, model):
        dim = model.norm.weight.numel()
        super().__init__({f"scale.{site}/{i}": nn.Parameter(torch.ones(dim))
                          for i in range(len(model.blocks)) for site in self.BRANCHES})

    @staticmethod
    def unfrozen(name):
        return name.endswith("bias") or "norm" in name

    def at(self, site, block, x, seen):
        return x * self.params[f"scale.{site}/{block}"] if site in self.BRANCHES else x


GOLDENS = {"difffit": DiffFit}

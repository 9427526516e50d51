import torch
from torch import nn

import vit


class ARC(vit.WithParams):
    """x += ((x P) * c) P^T + b after LN1 and LN2; P [D, r] is shared by all blocks, one per site. Dong et al. 2023."""

    SITES = ("NORM1", "NORM2")

    def __init__(self, model, rank):
        dim = model.norm.weight.numel()
        params = {f"p.{site}": nn.Parameter(torch.zeros(dim, rank)) for site in self.SITES}
        params.update({f"{name}.{site}/{i}": nn.Parameter(torch.zeros(size)) for i in range(len(model.blocks))
                       for site in self.SITES for name, size in (("c", rank), ("b", dim))})
        super().__init__(params)

    def at(self, site, block, x, seen):
        if site not in self.SITES:
            return x
        shared = self.params[f"p.{site}"]
        return x + ((x @ shared) * self.params[f"c.{site}/{block}"]) @ shared.T + self.params[f"b.{site}/{block}"]


GOLDENS = {"arc": lambda model: ARC(model, rank=5)}

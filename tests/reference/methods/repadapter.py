import torch
import torch.nn.functional as F
from torch import nn

import vit


class RepAdapter(vit.WithParams):
    """x += s * (grouped(x A^T + a) + b) after LN1 and LN2; output block j of `groups` reads hidden block j. Luo et al. 2023."""

    SITES = ("NORM1", "NORM2")

    def __init__(self, model, rank, groups, scale):
        dim = model.norm.weight.numel()
        shapes = {"a": (rank, dim), "a_bias": (rank,), "b": (dim, rank // groups), "b_bias": (dim,)}
        super().__init__({f"{name}.{site}/{i}": nn.Parameter(torch.zeros(shape)) for i in range(len(model.blocks))
                          for site in self.SITES for name, shape in shapes.items()})
        self.groups, self.scale = groups, scale

    def at(self, site, block, x, seen):
        if site not in self.SITES:
            return x
        a, a_bias, b, b_bias = (self.params[f"{name}.{site}/{block}"] for name in ("a", "a_bias", "b", "b_bias"))
        hidden = F.conv1d(x.transpose(1, 2), a[:, :, None], a_bias)
        return x + self.scale * F.conv1d(hidden, b[:, :, None], b_bias, groups=self.groups).transpose(1, 2)


GOLDENS = {
    "repadapter": lambda model: RepAdapter(model, rank=4, groups=2, scale=0.7),
    "repadapter_groups": lambda model: RepAdapter(model, rank=6, groups=3, scale=0.4),
}

import torch
import torch.nn.functional as F
from torch import nn

import vit


class Adapter(vit.WithParams):
    """branch += s * (relu(branch D^T + d) U^T + u) at each of `suffixes`, site to the end of its parameters' names."""

    def __init__(self, model, rank, scale, suffixes):
        dim = model.norm.weight.numel()
        shapes = {"down": (rank, dim), "down_bias": (rank,), "up": (dim, rank), "up_bias": (dim,)}
        super().__init__({f"{name}{suffix}/{i}": nn.Parameter(torch.zeros(shape)) for i in range(len(model.blocks))
                          for suffix in suffixes.values() for name, shape in shapes.items()})
        self.scale, self.suffixes = scale, suffixes

    def at(self, site, block, x, seen):
        if site not in self.suffixes:
            return x
        end = f"{self.suffixes[site]}/{block}"
        hidden = torch.relu(F.linear(x, self.params["down" + end], self.params["down_bias" + end]))
        return x + self.scale * F.linear(hidden, self.params["up" + end], self.params["up_bias" + end])


GOLDENS = {
    "houlsby": lambda model: Adapter(model, 5, 0.4, {"ATTN_OUT": ".ATTN_OUT", "MLP_OUT": ".MLP_OUT"}),  # Houlsby et al. 2019
    "pfeiffer": lambda model: Adapter(model, 5, 0.4, {"MLP_OUT": ""}),  # Pfeiffer et al. 2021
}

import torch
from torch import nn

import vit


class IA3(vit.WithParams):
    """Keys, values and the MLP's inner activations times a gain per channel. Liu et al. 2022."""

    SITES = {"K": "scale.k", "V": "scale.v", "ACT": "scale.act"}

    def __init__(self, model):
        dim, hidden = model.norm.weight.numel(), model.blocks[0].mlp.fc1.out_features
        super().__init__({f"{name}/{i}": nn.Parameter(torch.ones(hidden if site == "ACT" else dim))
                          for i in range(len(model.blocks)) for site, name in self.SITES.items()})

    def at(self, site, block, x, seen):
        return x * self.params[f"{self.SITES[site]}/{block}"] if site in self.SITES else x


GOLDENS = {"ia3": IA3}

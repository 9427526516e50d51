import torch
from torch import nn

import vit


class SSF(vit.WithParams):
    """y = x * scale + shift after every affine unit. Lian et al. 2022."""

    PER_BLOCK = ("NORM1", "QKV", "PROJ", "NORM2", "FC1", "FC2")
    ONCE = ("EMBED", "NORM")

    def __init__(self, model):
        dim = model.norm.weight.numel()
        hidden = model.blocks[0].mlp.fc1.out_features
        width = {"QKV": 3 * dim, "FC1": hidden}
        keys = [f".{site}" for site in self.ONCE]
        keys += [f".{site}/{i}" for i in range(len(model.blocks)) for site in self.PER_BLOCK]
        params = {}
        for key in keys:
            size = width.get(key[1:].split("/")[0], dim)
            params["scale" + key] = nn.Parameter(torch.ones(size))
            params["shift" + key] = nn.Parameter(torch.zeros(size))
        super().__init__(params)

    def at(self, site, block, x, seen):
        if site not in self.PER_BLOCK + self.ONCE:
            return x
        key = f".{site}" if block is None else f".{site}/{block}"
        return x * self.params["scale" + key] + self.params["shift" + key]


GOLDENS = {"ssf": SSF}

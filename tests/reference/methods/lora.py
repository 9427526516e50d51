import math

import torch
import torch.nn.functional as F
from torch import nn

import vit

LAYERS = {"QKV": ("NORM1", ""), "PROJ": ("ATTN", ".PROJ"), "FC1": ("NORM2", ".FC1"), "FC2": ("ACT", ".FC2")}


def sizes(model):
    """Inputs and outputs of each layer."""
    dim, hidden = model.norm.weight.numel(), model.blocks[0].mlp.fc1.bias.numel()
    return {"QKV": (dim, 3 * dim), "PROJ": (dim, dim), "FC1": (dim, hidden), "FC2": (hidden, dim)}


class LoRA(vit.WithParams):
    """layer(x) += scale * (x A^T) B^T with A [r, in] and B [out, r]. Hu et al. 2021; rsLoRA: Kalajdzievski 2023."""

    def __init__(self, model, rank, scale, layers=("QKV",)):
        params = {}
        for layer in layers:
            inputs, outputs = sizes(model)[layer]
            for i in range(len(model.blocks)):
                params[f"a{LAYERS[layer][1]}/{i}"] = nn.Parameter(torch.zeros(rank, inputs))
                params[f"b{LAYERS[layer][1]}/{i}"] = nn.Parameter(torch.zeros(outputs, rank))
        super().__init__(params)
        self.layers, self.scale = layers, scale

    def at(self, site, block, x, seen):
        if site not in self.layers:
            return x
        source, end = LAYERS[site]
        hidden = F.linear(seen[source], self.params[f"a{end}/{block}"])
        return x + self.scale * F.linear(hidden, self.params[f"b{end}/{block}"])


GOLDENS = {"lora": lambda model: LoRA(model, rank=4, scale=6 / 4),
           "lora_all": lambda model: LoRA(model, rank=3, scale=5 / math.sqrt(3), layers=tuple(LAYERS))}

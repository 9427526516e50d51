import math

import torch
import torch.nn.functional as F
from torch import nn

import vit

LAYERS = {"QKV": ("NORM1", ""), "PROJ": ("ATTN", ".PROJ"), "FC1": ("NORM2", ".FC1"), "FC2": ("ACT", ".FC2")}
PARTS = {"Q": ("NORM1", ".Q"), "V": ("NORM1", ".V")}  # of QKV, in place of it


def sizes(model):
    """Inputs and outputs of each layer."""
    dim, hidden = model.norm.weight.numel(), model.blocks[0].mlp.fc1.bias.numel()
    return {"QKV": (dim, 3 * dim), "PROJ": (dim, dim), "FC1": (dim, hidden), "FC2": (hidden, dim),
            "Q": (dim, dim), "V": (dim, dim)}


class LoRA(vit.WithParams):
    """layer(x) += scale * (x A^T) B^T with A [r, in] and B [out, r]. Hu et al. 2021; rsLoRA: Kalajdzievski 2023."""

    def __init__(self, model, rank, scale, layers=("QKV",)):
        params = {}
        for layer in layers:
            inputs, outputs = sizes(model)[layer]
            for i in range(len(model.blocks)):
                end = {**LAYERS, **PARTS}[layer][1]
                params[f"a{end}/{i}"] = nn.Parameter(torch.zeros(rank, inputs))
                params[f"b{end}/{i}"] = nn.Parameter(torch.zeros(outputs, rank))
        super().__init__(params)
        self.layers, self.scale = layers, scale

    def update(self, layer, block, seen):
        source, end = {**LAYERS, **PARTS}[layer]
        hidden = F.linear(seen[source], self.params[f"a{end}/{block}"])
        return self.scale * F.linear(hidden, self.params[f"b{end}/{block}"])

    def at(self, site, block, x, seen):
        if site == "QKV" and "Q" in self.layers:
            q, k, v = x.chunk(3, -1)
            return torch.cat([q + self.update("Q", block, seen), k, v + self.update("V", block, seen)], -1)
        return x + self.update(site, block, seen) if site in self.layers and site in LAYERS else x


GOLDENS = {"lora": lambda model: LoRA(model, rank=4, scale=6 / 4),
           "lora_all": lambda model: LoRA(model, rank=3, scale=5 / math.sqrt(3), layers=tuple(LAYERS)),
           "lora_qv": lambda model: LoRA(model, rank=5, scale=1, layers=("Q", "V"))}

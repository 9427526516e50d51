import torch
import torch.nn.functional as F
from torch import nn

import vit


class VQT(vit.WithParams):
    """Learned queries before each block, taken off keys and values; their outputs are features. Tu et al. 2023.

    The head reads a linear combination (no bias) of the normalised outputs of all blocks' queries and the normalised
    class token.
    """

    def __init__(self, model, count):
        dim, blocks = model.norm.weight.numel(), range(len(model.blocks))
        params = {f"prompt/{i}": nn.Parameter(torch.zeros(count, dim)) for i in blocks}
        params.update({f"combine/{i}": nn.Parameter(torch.ones(1, count)) for i in blocks})
        params["combine_class"] = nn.Parameter(torch.ones(1, 1))
        super().__init__(params)
        self.count = count
        self.depth = len(blocks)

    def at(self, site, block, x, seen):
        if site == "BLOCK_IN":
            if block == 0:
                self.outputs = []
            return torch.cat([self.params[f"prompt/{block}"].expand(len(x), -1, -1), x], 1)
        if site == "BLOCK_OUT":
            self.outputs.append(F.normalize(x[:, :self.count], dim=-1))
        if site in ("K", "V", "BLOCK_OUT"):
            return x[:, self.count:]
        if site == "NORM":
            features = torch.cat(self.outputs + [F.normalize(x[:, :1], dim=-1)], 1)  # [B, nL + 1, D]
            weights = [self.params[f"combine/{i}"] for i in range(self.depth)] + [self.params["combine_class"]]
            return torch.cat([torch.cat(weights, 1) @ features, x[:, 1:]], 1)
        return x


GOLDENS = {"vqt": lambda model: VQT(model, 5)}

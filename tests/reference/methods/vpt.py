import torch
from torch import nn

import vit


class VPT(vit.WithParams):
    """Learned tokens in front of the sequence. Jia et al. 2022.

    deep:        fresh prompts before every block, taken off after it;
    propagate:   prompts before block 0 travel through all blocks (the original's shallow form);
    first_block: prompts before block 0 are taken off after block 0 (the other published shallow form).
    """

    def __init__(self, model, count, mode):
        dim, depth = model.norm.weight.numel(), len(model.blocks)
        blocks = range(depth) if mode == "deep" else range(1)
        super().__init__({f"prompt/{i}": nn.Parameter(torch.zeros(count, dim)) for i in blocks})
        self.count = count
        self.last = {"deep": None, "propagate": depth - 1, "first_block": 0}[mode]

    def at(self, site, block, x, seen):
        prompt = self.params.get(f"prompt/{block}")
        if site == "BLOCK_IN" and prompt is not None:
            return torch.cat([prompt.expand(len(x), -1, -1), x], 1)
        if site == "BLOCK_OUT" and (self.last is None or block == self.last):
            return x[:, self.count:]
        return x


GOLDENS = {
    "vpt_deep": lambda model: VPT(model, 5, "deep"),
    "vpt_propagate": lambda model: VPT(model, 5, "propagate"),
    "vpt_first_block": lambda model: VPT(model, 5, "first_block"),
}

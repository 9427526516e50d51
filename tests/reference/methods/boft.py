import torch
from torch import nn

import vit
from methods.oft import cayley


def butterfly(dim, block, i):
    """The permutation matrix of factor i: in each run of block 2^i channels, the first half and the second, in pieces of
    block / 2, are shuffled into one another."""
    run = block << i
    order = torch.arange(dim).reshape(dim // run, run * 2 // block, block // 2)
    order = torch.cat([order[:, 0::2], order[:, 1::2]], 1).reshape(dim)
    return torch.eye(dim, dtype=torch.float64)[order]


class BOFT(vit.WithParams):
    """qkv = scale * (W R u) + bias, R = F_{m-1} .. F_0, F_i = P_i diag(blocks) P_i^T, each block the Cayley transform of
    (M - M^T) / 2. Only qkv reads NORM1, so that is what is rotated. Liu et al. 2024."""

    def __init__(self, model, block, factors):
        dim, depth = model.norm.weight.numel(), len(model.blocks)
        params = {f"m/{i}": nn.Parameter(torch.zeros(factors * dim // block, block, block)) for i in range(depth)}
        params.update({f"scale/{i}": nn.Parameter(torch.ones(3 * dim)) for i in range(depth)})
        super().__init__(params)
        self.factors = factors
        self.permutations = [butterfly(dim, block, i) for i in range(factors)]
        self.biases = tuple(block.attn.qkv.bias for block in model.blocks)

    def rotation(self, block):
        m = self.params[f"m/{block}"]
        rotation = torch.eye(len(self.permutations[0]), dtype=m.dtype)
        for p, small in zip(self.permutations, cayley((m - m.transpose(1, 2)) / 2).chunk(self.factors)):
            p = p.to(m.dtype)
            rotation = p @ torch.block_diag(*small) @ p.T @ rotation
        return rotation

    def at(self, site, block, x, seen):
        if site == "NORM1":
            return x @ self.rotation(block)
        if site == "QKV":
            return (x - self.biases[block]) * self.params[f"scale/{block}"] + self.biases[block]
        return x


GOLDENS = {
    "boft": lambda model: BOFT(model, block=4, factors=2),
    "boft_small": lambda model: BOFT(model, block=2, factors=3),
}

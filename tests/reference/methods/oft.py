import torch
from torch import nn

import vit


def cayley(q):
    """(I - Q)(I + Q)^-1: a rotation where Q is skew."""
    eye = torch.eye(q.shape[-1], dtype=q.dtype)
    return torch.linalg.solve(eye + q, eye - q, left=False)


def neumann(q):
    """The first five terms of (I + Q)(I - Q)^-1, the last of them halved: what HF peft calls Cayley-Neumann."""
    eye = torch.eye(q.shape[-1], dtype=q.dtype)
    return eye + 2 * q + 2 * q @ q + 2 * q @ q @ q + q @ q @ q @ q


class OFT(vit.WithParams):
    """qkv = W R u + bias with R block-diagonal; each block a function of a skew Q whose upper triangle is a row of q,
    row after row. Only qkv reads NORM1, so that is what is rotated. Qiu et al. 2023."""

    def __init__(self, model, block, rotation):
        dim = model.norm.weight.numel()
        super().__init__({f"q/{i}": nn.Parameter(torch.zeros(dim // block, block * (block - 1) // 2))
                          for i in range(len(model.blocks))})
        self.block, self.rotation = block, rotation

    def at(self, site, block, x, seen):
        if site != "NORM1":
            return x
        q = self.params[f"q/{block}"]
        rows, columns = torch.triu_indices(self.block, self.block, 1)
        skew = q.new_zeros(len(q), self.block, self.block)
        skew[:, rows, columns] = q
        rotation = self.rotation(skew - skew.transpose(1, 2))
        return torch.einsum("...kj,kji->...ki", x.unflatten(-1, (len(q), self.block)), rotation).flatten(-2)


GOLDENS = {
    "oft": lambda model: OFT(model, block=8, rotation=neumann),
    "oft_exact": lambda model: OFT(model, block=6, rotation=cayley),
}

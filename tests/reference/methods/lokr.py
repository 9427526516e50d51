import torch
import torch.nn.functional as F
from torch import nn

import vit


def factors(n):
    """m <= k with m k = n, as near to each other as n divides."""
    m = max(m for m in range(1, n + 1) if m * m <= n and n % m == 0)
    return m, n // m


class LoKr(vit.WithParams):
    """y += scale * kron(W1, W2) u for y = qkv, or for the rows q and v of it apart; W2 = W2A W2B, or W2A where the rank
    is half of its longer side or more. Edalati et al. 2022, Yeh et al. 2023."""

    def __init__(self, model, rank, alpha, target="qkv"):
        dim = model.norm.weight.numel()
        self.parts = [("", 0, 3 * dim)] if target == "qkv" else [("", 0, dim), ("v.", 2 * dim, 3 * dim)]
        params = {}
        for block in range(len(model.blocks)):
            for part, first, last in self.parts:
                (a, b), (c, d) = factors(last - first), factors(dim)
                low = rank < max(b, d) / 2
                shapes = {"w1": (a, c), "w2a": (b, rank) if low else (b, d)}
                shapes.update({"w2b": (rank, d)} if low else {})
                params.update({f"{part}{name}/{block}": nn.Parameter(torch.zeros(shape))
                               for name, shape in shapes.items()})
        super().__init__(params)
        self.scale = alpha / rank

    def at(self, site, block, x, seen):
        if site != "QKV":
            return x
        out = x.clone()
        for part, first, last in self.parts:
            w2 = self.params[f"{part}w2a/{block}"]
            if f"{part}w2b/{block}" in self.params:
                w2 = w2 @ self.params[f"{part}w2b/{block}"]
            out[..., first:last] += self.scale * F.linear(seen["NORM1"],
                                                          torch.kron(self.params[f"{part}w1/{block}"], w2))
        return out


GOLDENS = {
    "lokr": lambda model: LoKr(model, rank=3, alpha=5),
    "lokr_full": lambda model: LoKr(model, rank=6, alpha=6),
    "lokr_qv": lambda model: LoKr(model, rank=2, alpha=3, target="qv"),
}

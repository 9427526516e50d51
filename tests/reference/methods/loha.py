import torch
import torch.nn.functional as F
from torch import nn

import vit


class LoHa(vit.WithParams):
    """y += scale * (A1 B1 * A2 B2) u for y = qkv, or for the rows q and v of it apart. Hyeon-Woo et al. 2022."""

    def __init__(self, model, rank, alpha, target="qkv"):
        dim = model.norm.weight.numel()
        self.parts = [("", 0, 3 * dim)] if target == "qkv" else [("", 0, dim), ("v.", 2 * dim, 3 * dim)]
        params = {}
        for block in range(len(model.blocks)):
            for part, first, last in self.parts:
                for name, shape in {"a1": (last - first, rank), "b1": (rank, dim), "a2": (last - first, rank),
                                    "b2": (rank, dim)}.items():
                    params[f"{part}{name}/{block}"] = nn.Parameter(torch.zeros(shape))
        super().__init__(params)
        self.scale = alpha / rank

    def at(self, site, block, x, seen):
        if site != "QKV":
            return x
        out = x.clone()
        for part, first, last in self.parts:
            a1, b1, a2, b2 = (self.params[f"{part}{name}/{block}"] for name in ("a1", "b1", "a2", "b2"))
            out[..., first:last] += self.scale * F.linear(seen["NORM1"], (a1 @ b1) * (a2 @ b2))
        return out


GOLDENS = {
    "loha": lambda model: LoHa(model, rank=5, alpha=8),
    "loha_qv": lambda model: LoHa(model, rank=3, alpha=3, target="qv"),
}

"""FacT, Jie and Deng 2023: one low-rank update of qkv, proj, fc1 and fc2 of all blocks, written chunk by chunk."""
import torch
import torch.nn.functional as F
from torch import nn

import vit


class FacT(vit.WithParams):
    """Ends U [r, D] and V [D, r] shared; what stands between them is the subclass's `core`."""

    INPUT = {"QKV": "NORM1", "PROJ": "ATTN", "FC1": "NORM2", "FC2": "ACT"}

    def __init__(self, model, rank, scale, params):
        dim = model.norm.weight.numel()
        params = dict(params, U=torch.zeros(rank, dim), V=torch.zeros(dim, rank))
        super().__init__({name: nn.Parameter(value) for name, value in params.items()})
        self.rank, self.scale = rank, scale

    def at(self, site, block, x, seen):
        if site not in self.INPUT:
            return x
        inputs = seen[self.INPUT[site]].split(self.params["U"].shape[1], -1)
        low = torch.cat([F.linear(chunk, self.params["U"]) for chunk in inputs], -1)
        updates = [F.linear(z, self.params["V"]) for z in self.core(site, block, low)]
        return x + self.scale * torch.cat(updates, -1)


class FacTTT(FacT):
    """The core of each chunk is a matrix of its own: z = u S^T."""

    SHAPE = {"QKV": (3, 1), "PROJ": (1, 1), "FC1": (4, 1), "FC2": (1, 4)}

    def __init__(self, model, rank, scale):
        super().__init__(model, rank, scale, {
            f"S.{site}/{i}": torch.zeros(outs * rank, ins * rank)
            for i in range(len(model.blocks)) for site, (outs, ins) in self.SHAPE.items()})

    def core(self, site, block, low):
        return [F.linear(low, part) for part in self.params[f"S.{site}/{block}"].split(self.rank)]


class FacTTK(FacT):
    """The cores are slices of C [r, r, r] times the columns of P [r, 12 L], 12 for a block."""

    COLUMNS = {"QKV": 3, "PROJ": 1, "FC1": 4, "FC2": 4}

    def __init__(self, model, rank, scale):
        depth = len(model.blocks)
        super().__init__(model, rank, scale, {
            "C": torch.zeros(rank, rank, rank),
            **{f"P.{site}/{i}": torch.zeros(rank, count) for i in range(depth) for site, count in self.COLUMNS.items()}})
        self.depth = depth

    def core(self, site, block, low):
        p = torch.cat([self.params[f"P.{s}/{i}"] for i in range(self.depth) for s in self.COLUMNS], 1)
        g = torch.einsum("pbk,kj->pbj", self.params["C"], p[:, 12 * block:12 * block + 12])
        r = self.rank
        if site == "QKV":
            return [low @ g[:, :, j] for j in range(3)]
        if site == "PROJ":
            return [low @ g[:, :, 3]]
        if site == "FC1":  # entry 4 b + j of the hidden r * 4 is g[:, b, 4 + j]
            return (low @ g[:, :, 4:8].reshape(r, 4 * r)).split(r, -1)
        return [F.linear(low, g[:, :, 8:12].reshape(r, 4 * r))]


GOLDENS = {
    "fact_tt": lambda model: FacTTT(model, rank=3, scale=0.7),
    "fact_tk": lambda model: FacTTK(model, rank=5, scale=0.7),
}

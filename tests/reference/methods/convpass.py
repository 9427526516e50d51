import math

import torch
import torch.nn.functional as F
from torch import nn

import vit


class Convpass(vit.WithParams):
    """branch += s * (f(conv3x3(f(u D^T + d))) U^T + u_bias), u = LN1 for the attention, LN2 for the MLP, f = QuickGELU.

    The kernel is stored [out, y, x, in]; the class token is an image of its own, one pixel large. Jie and Deng 2022."""

    INPUT = {"ATTN_OUT": "NORM1", "MLP_OUT": "NORM2"}

    def __init__(self, model, rank, scale):
        dim = model.norm.weight.numel()
        shapes = {"down": (rank, dim), "down_bias": (rank,), "conv": (rank, 3, 3, rank), "conv_bias": (rank,),
                  "up": (dim, rank), "up_bias": (dim,)}
        super().__init__({f"{name}.{site}/{i}": nn.Parameter(torch.zeros(shape)) for i in range(len(model.blocks))
                          for site in self.INPUT for name, shape in shapes.items()})
        self.scale = scale

    def at(self, site, block, x, seen):
        if site not in self.INPUT:
            return x
        p = {name: self.params[f"{name}.{site}/{block}"]
             for name in ("down", "down_bias", "conv", "conv_bias", "up", "up_bias")}
        kernel = p["conv"].permute(0, 3, 1, 2)

        def conv(images):
            return F.conv2d(images, kernel, p["conv_bias"], padding=1)

        z = self.f(F.linear(seen[self.INPUT[site]], p["down"], p["down_bias"])).transpose(1, 2)
        batch, rank, tokens = z.shape
        side = math.isqrt(tokens - 1)
        own = conv(z[:, :, 0].reshape(batch, rank, 1, 1)).reshape(batch, rank, 1)
        grid = conv(z[:, :, 1:].reshape(batch, rank, side, side)).reshape(batch, rank, -1)
        hidden = self.f(torch.cat([own, grid], 2)).transpose(1, 2)
        return x + self.scale * F.linear(hidden, p["up"], p["up_bias"])

    @staticmethod
    def f(x):
        return x * torch.sigmoid(1.702 * x)


GOLDENS = {"convpass": lambda model: Convpass(model, rank=5, scale=0.6)}

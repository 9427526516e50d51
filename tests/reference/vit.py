"""A plain PyTorch Vision Transformer with timm's tensor names, which the PEFT methods of methods/ hook into.

It is the reference that golden files are made with, so it prefers the equations to speed: every activation that
a method may change is passed through `method.at(site, block, x, seen)` under the site names of the plugin contract.
All dropouts are off. It trains nothing and reads no images.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

LN_EPS = 1e-6


class Method(nn.Module):
    """Changes nothing. A method overrides `at`; `seen` holds the earlier sites of the same block."""

    def at(self, site, block, x, seen):
        return x


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def mix(self, q, k, v, fused):
        """q [B, N, D], k and v [B, M, D] to [B, N, D]; head h owns columns h*d..h*d+d-1."""
        batch, tokens, width = q.shape
        q, k, v = (x.reshape(batch, -1, self.heads, width // self.heads).transpose(1, 2) for x in (q, k, v))
        if fused:
            out = F.scaled_dot_product_attention(q, k, v)
        else:
            out = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), -1) @ v
        return out.transpose(1, 2).reshape(batch, tokens, width)


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)


class Block(nn.Module):
    def __init__(self, dim, heads, hidden):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, LN_EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, LN_EPS)
        self.mlp = Mlp(dim, hidden)

    def forward(self, x, block, method, fused):
        seen = {}

        def at(site, value):
            seen[site] = method.at(site, block, value, seen)
            return seen[site]

        x = at("BLOCK_IN", x)
        u = at("NORM1", self.norm1(x))
        q, k, v = (at(site, x) for site, x in zip("QKV", at("QKV", self.attn.qkv(u)).chunk(3, -1)))
        mixed = at("ATTN", self.attn.mix(q, k, v, fused))
        x = at("MID", x + at("ATTN_OUT", at("PROJ", self.attn.proj(mixed))))
        v = at("NORM2", self.norm2(x))
        act = at("ACT", F.gelu(at("FC1", self.mlp.fc1(v))))
        return at("BLOCK_OUT", x + at("MLP_OUT", at("FC2", self.mlp.fc2(act))))


class PatchEmbed(nn.Module):
    def __init__(self, dim, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)


class Vit(nn.Module):
    """images [B, 3, S, S], already normalised, to logits [B, classes]."""

    def __init__(self, image, patch, dim, heads, hidden, depth, classes, fused=False):
        super().__init__()
        self.fused = fused
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (image // patch) ** 2, dim))
        self.patch_embed = PatchEmbed(dim, patch)
        self.blocks = nn.ModuleList(Block(dim, heads, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, LN_EPS)
        self.head = nn.Linear(dim, classes)

    def features(self, images, method=None, tokens=None):
        """The class token after the final LayerNorm; a list `tokens` receives the stream around each block."""
        method = method or Method()
        patches = self.patch_embed.proj(images).flatten(2).transpose(1, 2)
        patches = method.at("EMBED", None, patches, {})
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), patches], 1) + self.pos_embed
        x = method.at("TOKENS", None, x, {})
        keep = tokens if tokens is not None else []
        keep.append(x)
        for i, block in enumerate(self.blocks):
            x = block(x, i, method, self.fused)
            keep.append(x)
        return method.at("NORM", None, self.norm(x), {})[:, 0]

    def forward(self, images, method=None):
        return self.head(self.features(images, method))


def resample_pos_embed(pos, grid):
    """[1, 1 + g*g, D] to [1, 1 + grid*grid, D] as timm does: bicubic with antialias, the class slot kept."""
    old = math.isqrt(pos.shape[1] - 1)
    if old == grid:
        return pos
    cells = pos[:, 1:].reshape(1, old, old, -1).permute(0, 3, 1, 2)
    cells = F.interpolate(cells, size=(grid, grid), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([pos[:, :1], cells.permute(0, 2, 3, 1).reshape(1, grid * grid, -1)], 1)


def vit_from_state(state, image, heads, classes=None, fused=False):
    """A model of the state's shapes for square images of `image` pixels; `classes` asks for a fresh zero head."""
    dim, _, patch, _ = state["patch_embed.proj.weight"].shape
    hidden = state["blocks.0.mlp.fc1.weight"].shape[0]
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    state = dict(state, pos_embed=resample_pos_embed(state["pos_embed"], image // patch))
    if classes is not None:
        state["head.weight"] = torch.zeros(classes, dim)
        state["head.bias"] = torch.zeros(classes)
    model = Vit(image, patch, dim, heads, hidden, depth, len(state["head.bias"]), fused)
    model.load_state_dict(state)
    return model


# --- what methods build on; a parameter is `name` (shared) or `name/block`, the names that the plugins use -------------------


class WithParams(Method):
    """Keeps `params`, a dict of name to nn.Parameter, registered under legal module names."""

    def __init__(self, params):
        super().__init__()
        self.params = params
        for name, value in params.items():
            self.register_parameter(name.replace(".", "_").replace("/", "__"), value)


def freeze(model, method):
    """Leaves trainable: the head, what the method unfreezes, and (elsewhere) the method's own parameters."""
    unfrozen = getattr(method, "unfrozen", lambda name: False)
    for name, value in model.named_parameters():
        value.requires_grad_(name.startswith("head.") or unfrozen(name))

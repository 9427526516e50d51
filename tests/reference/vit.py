"""A plain PyTorch Vision Transformer with timm's tensor names, and the PEFT methods that hook into it.

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

    def mix(self, qkv, fused):
        """[B, N, 3D] to [B, N, D]; rows 0..D-1 of qkv are q, then k, then v; head h owns columns h*d..h*d+d-1."""
        batch, tokens, width = qkv.shape
        q, k, v = qkv.reshape(batch, tokens, 3, self.heads, width // 3 // self.heads).permute(2, 0, 3, 1, 4)
        if fused:
            out = F.scaled_dot_product_attention(q, k, v)
        else:
            out = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), -1) @ v
        return out.transpose(1, 2).reshape(batch, tokens, width // 3)


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
        qkv = at("QKV", self.attn.qkv(u))
        mixed = at("ATTN", self.attn.mix(qkv, fused))
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


# --- methods; a parameter is `name` (shared) or `name/block`, the names that the plugins use -------------------


class WithParams(Method):
    """Keeps `params`, a dict of name to nn.Parameter, registered under legal module names."""

    def __init__(self, params):
        super().__init__()
        self.params = params
        for name, value in params.items():
            self.register_parameter(name.replace(".", "_").replace("/", "__"), value)


class Linear(Method):
    """Linear probing: only the head trains."""


class Full(Method):
    """Everything trains."""

    @staticmethod
    def unfrozen(name):
        return True


class BitFit(Method):
    """Every bias trains. Ben Zaken et al. 2022."""

    @staticmethod
    def unfrozen(name):
        return name.endswith("bias")


class LoRA(WithParams):
    """qkv += scale * (u A^T) B^T with A [r, D] shared by q, k, v and B [3D, r]; scale = alpha / r. Hu et al. 2021."""

    def __init__(self, model, rank, alpha):
        dim = model.norm.weight.numel()
        shapes = {"a": (rank, dim), "b": (3 * dim, rank)}
        super().__init__({f"{name}/{i}": nn.Parameter(torch.zeros(shape))
                          for i in range(len(model.blocks)) for name, shape in shapes.items()})
        self.scale = alpha / rank

    def at(self, site, block, x, seen):
        if site != "QKV":
            return x
        hidden = F.linear(seen["NORM1"], self.params[f"a/{block}"])
        return x + self.scale * F.linear(hidden, self.params[f"b/{block}"])


class SSF(WithParams):
    """y = x * scale + shift after every affine unit. Lian et al. 2022."""

    PER_BLOCK = ("NORM1", "QKV", "PROJ", "NORM2", "FC1", "FC2")
    ONCE = ("EMBED", "NORM")

    def __init__(self, model):
        dim = model.norm.weight.numel()
        hidden = model.blocks[0].mlp.fc1.out_features
        width = {"QKV": 3 * dim, "FC1": hidden}
        keys = [f".{site}" for site in self.ONCE]
        keys += [f".{site}/{i}" for i in range(len(model.blocks)) for site in self.PER_BLOCK]
        params = {}
        for key in keys:
            size = width.get(key[1:].split("/")[0], dim)
            params["scale" + key] = nn.Parameter(torch.ones(size))
            params["shift" + key] = nn.Parameter(torch.zeros(size))
        super().__init__(params)

    def at(self, site, block, x, seen):
        if site not in self.PER_BLOCK + self.ONCE:
            return x
        key = f".{site}" if block is None else f".{site}/{block}"
        return x * self.params["scale" + key] + self.params["shift" + key]


class VPT(WithParams):
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


class AdaptFormer(WithParams):
    """MLP branch += s * (relu(x D^T + d) U^T + u), x the stream before LN2. Chen et al. 2022."""

    def __init__(self, model, rank, scale):
        dim = model.norm.weight.numel()
        shapes = {"down": (rank, dim), "down_bias": (rank,), "up": (dim, rank), "up_bias": (dim,)}
        super().__init__({f"{name}/{i}": nn.Parameter(torch.zeros(shape))
                          for i in range(len(model.blocks)) for name, shape in shapes.items()})
        self.scale = scale

    def at(self, site, block, x, seen):
        if site != "MLP_OUT":
            return x
        p = {name: self.params[f"{name}/{block}"] for name in ("down", "down_bias", "up", "up_bias")}
        hidden = torch.relu(F.linear(seen["MID"], p["down"], p["down_bias"]))
        return x + self.scale * F.linear(hidden, p["up"], p["up_bias"])


def freeze(model, method):
    """Leaves trainable: the head, what the method unfreezes, and (elsewhere) the method's own parameters."""
    unfrozen = getattr(method, "unfrozen", lambda name: False)
    for name, value in model.named_parameters():
        value.requires_grad_(name.startswith("head.") or unfrozen(name))

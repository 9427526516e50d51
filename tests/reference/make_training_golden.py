"""Makes golden/training.safetensors: what methods do around training, against which the plugins' vitro/training.h
callbacks are judged.

    python3 make_training_golden.py

- adalora/: STEPS steps of HF peft's AdaLoRA (its RankAllocator decides) on two linear layers; parameters start and
  gradients are random, the optimiser is p -= RATE * gradient. Stored: the start of a, b and e, every gradient, and e
  after each step; the penalty is the orthogonality that peft adds to the loss, at the start, with weight 1.
- pissa/: the RANK largest singular values of each block's qkv weight of golden/methods/model.safetensors, and the
  part of the weight that they make up, by torch.linalg.svd.
- gps/: the PICKED columns of largest gradient in each row of the four layers of the same model, largest first; the
  loss is the mean cross-entropy over its images.
"""
import pathlib

import torch
import torch.nn.functional as F
from peft import AdaLoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

import vit
from make_methods_golden import SEED, SHAPE

BLOCKS, DIM, RANK_FIRST, RANK_LAST, STEPS, WARM, SETTLED, RATE = 2, 8, 5, 3, 30, 6, 9, 0.1
RANK, PICKED = 4, 3


class Layers(nn.Module):
    """Blocks of which each has a linear layer `qkv`, as the tiny model of the test has."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.ModuleDict({"qkv": nn.Linear(DIM, 3 * DIM)}) for _ in range(BLOCKS))

    def forward(self, x):
        return sum(block["qkv"](x).sum() for block in self.blocks)


def adalora():
    out, generator = {}, torch.Generator().manual_seed(SEED)
    config = AdaLoraConfig(init_r=RANK_FIRST, target_r=RANK_LAST, tinit=WARM, tfinal=SETTLED, deltaT=1, beta1=0.85,
                           beta2=0.85, total_step=STEPS, target_modules=["qkv"])
    model = get_peft_model(Layers(), config)
    layers = [block["qkv"] for block in model.base_model.model.blocks]
    named = {f"{name}/{i}": getattr(layer, f"lora_{name.upper()}")["default"]
             for i, layer in enumerate(layers) for name in "abe"}
    for name, p in named.items():
        p.data = torch.randn(p.shape, generator=generator) * (1 if name[0] == "e" else 0.5)
        out[f"adalora/start/{name}"] = p.detach().flatten().clone()
    skew = [torch.linalg.norm(m - torch.eye(RANK_FIRST)) for name, p in named.items() if name[0] != "e"
            for m in [p.detach() @ p.detach().T if name[0] == "a" else p.detach().T @ p.detach()]]
    out["adalora/penalty"] = torch.stack(skew).mean().reshape(1)
    for step in range(1, STEPS + 1):
        for name, p in named.items():
            p.grad = torch.randn(p.shape, generator=generator)
            out.setdefault(f"adalora/gradient/{name}", []).append(p.grad.flatten())
            p.data -= RATE * p.grad
        model.base_model.update_and_allocate(step)
        for name, p in named.items():
            if name[0] == "e":
                out.setdefault(f"adalora/after/{name}", []).append(p.detach().flatten().clone())
    gone = sum(int((p == 0).sum()) for name, p in named.items() if name[0] == "e")
    print(f"adalora: {gone} of {BLOCKS * RANK_FIRST} triplets are gone")
    return {name: torch.stack(x) if isinstance(x, list) else x for name, x in out.items()}


def pissa(model):
    out = {}
    for i, block in enumerate(model.blocks):
        u, s, vt = torch.linalg.svd(block.attn.qkv.weight.detach(), full_matrices=False)
        out[f"pissa/values/{i}"] = s[:RANK]
        out[f"pissa/part/{i}"] = u[:, :RANK] * s[:RANK] @ vt[:RANK]
    return out


def gps(model, images, labels):
    F.cross_entropy(model(images), labels).backward()
    out = {}
    for i, block in enumerate(model.blocks):
        layers = {"QKV": block.attn.qkv, "PROJ": block.attn.proj, "FC1": block.mlp.fc1, "FC2": block.mlp.fc2}
        for name, layer in layers.items():
            out[f"gps/index.{name}/{i}"] = layer.weight.grad.abs().topk(PICKED, dim=1).indices.float()
    return out


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent / "golden"
    shared = load_file(folder / "methods" / "model.safetensors")
    model = vit.Vit(**SHAPE).double()
    model.load_state_dict({name[len("model/"):]: x.double() for name, x in shared.items() if name.startswith("model/")})
    images = ((shared["images"].double() / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)
    golden = {**adalora(), **pissa(model), **gps(model, images, shared["labels"].long())}
    golden = {name: x.float().contiguous() for name, x in golden.items()}
    save_file(golden, folder / "training.safetensors", metadata={"about": "make_training_golden.py"})
    print(f"{len(golden)} tensors, {sum(x.numel() for x in golden.values()) * 4 // 1024} KiB")

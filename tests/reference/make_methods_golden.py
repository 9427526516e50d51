"""Makes golden/methods.safetensors: a two-block ViT under every method, with logits, loss and all gradients.

Weights are random, rounded to float32; everything after that is computed in float64 and stored as float32.
No width is a multiple or the square of another where a transposed index could hide.
"""
import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import vit

SHAPE = dict(image=32, patch=8, dim=24, heads=3, hidden=96, depth=2, classes=7)
BATCH = 3
SEED = 20240917
METHODS = {  # key in the file: constructor, and what it was built with
    "linear": (lambda m: vit.Linear(), {}),
    "full": (lambda m: vit.Full(), {}),
    "bitfit": (lambda m: vit.BitFit(), {}),
    "lora": (lambda m: vit.LoRA(m, rank=4, alpha=6), {"rank": 4, "alpha": 6}),
    "ssf": (lambda m: vit.SSF(m), {}),
    "vpt_deep": (lambda m: vit.VPT(m, 5, "deep"), {"prompts": 5}),
    "vpt_propagate": (lambda m: vit.VPT(m, 5, "propagate"), {"prompts": 5}),
    "vpt_first_block": (lambda m: vit.VPT(m, 5, "first_block"), {"prompts": 5}),
    "adaptformer": (lambda m: vit.AdaptFormer(m, rank=5, scale=0.4), {"rank": 5, "scale": 0.4}),
}


def randomise(named, generator):
    """Nonzero values as trained tensors have them: 1 / sqrt(fan_in) for matrices, 1 +- 0.2 for scales, else +-0.2."""
    for name, value in named:
        noise = torch.randn(value.shape, generator=generator)
        gain = name.split("/")[0].startswith("scale") or ("norm" in name and name.endswith("weight"))
        if gain:
            noise = 1 + 0.2 * noise
        elif value.dim() >= 2 and not name.startswith(("prompt", "pos_embed", "cls_token")):
            noise = noise / value[0].numel() ** 0.5
        else:
            noise = noise * (0.5 if value.dim() >= 2 else 0.2)
        value.data = noise.float().double()


def measure(model, method, images, labels):
    """Logits, mean cross-entropy and the gradient of every trainable tensor, by the names of the file."""
    params = getattr(method, "params", {})
    vit.freeze(model, method)
    model.zero_grad(set_to_none=True)
    logits = model(images, method)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    out = {"logits": logits, "loss": loss.reshape(1)}
    for name, value in params.items():
        out[f"param/{name}"] = value
        out[f"grad/{name}"] = value.grad
    for name, value in model.named_parameters():
        if value.requires_grad:
            out[f"grad/{name}"] = value.grad
    assert all(v is not None for v in out.values())
    return out


def main(path):
    generator = torch.Generator().manual_seed(SEED)
    model = vit.Vit(**SHAPE).double()
    randomise(model.named_parameters(), generator)
    pixels = torch.randint(0, 256, (BATCH, SHAPE["image"], SHAPE["image"], 3), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, SHAPE["classes"], (BATCH,), generator=generator)
    images = ((pixels.double() / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)

    golden = {"images": pixels, "labels": labels.int()}
    golden.update({f"model/{name}": value for name, value in model.state_dict().items()})
    tokens = []
    model.features(images, tokens=tokens)
    golden.update({f"tokens/{i}": value for i, value in enumerate(tokens)})
    for key, (build, _) in METHODS.items():
        method = build(model)
        randomise(getattr(method, "params", {}).items(), generator)
        for name, value in measure(model, method, images, labels).items():
            golden[f"{key}/{name}"] = value

    golden = {name: (value.detach().float() if value.is_floating_point() else value).contiguous().clone()
              for name, value in golden.items()}
    about = dict(SHAPE, methods={key: options for key, (_, options) in METHODS.items()}, mean=0.5, std=0.5)
    save_file(golden, path, metadata={"about": json.dumps(about, sort_keys=True)})
    for key in METHODS:
        print(f"{key:16} loss {golden[key + '/loss'].item():.6f}, "
              f"{sum(1 for n in golden if n.startswith(key + '/grad/'))} gradients")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else
         pathlib.Path(__file__).parent / "golden" / "methods.safetensors")

"""Makes golden/methods/: a two-block ViT (model.safetensors) and, for each method that a file of methods/ lists in its
GOLDENS, logits, loss and all gradients (KEY.safetensors).

    python3 make_methods_golden.py            all of them
    python3 make_methods_golden.py lora vpt   only those of methods/lora.py and methods/vpt.py

Weights are random, rounded to float32; everything after that is computed in float64 and stored as float32.
No width is a multiple or the square of another where a transposed index could hide.
"""
import importlib
import json
import pathlib
import sys
import zlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import vit

SHAPE = dict(image=32, patch=8, dim=24, heads=3, hidden=96, depth=2, classes=7)
BATCH = 3
SEED = 20240917


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
        if value.requires_grad:
            out[f"grad/{name}"] = value.grad
    for name, value in model.named_parameters():
        if value.requires_grad:
            out[f"grad/{name}"] = value.grad
    assert all(v is not None for v in out.values())
    return out


def write(path, tensors, about):
    tensors = {name: (value.detach().float() if value.is_floating_point() else value).contiguous().clone()
               for name, value in tensors.items()}
    save_file(tensors, path, metadata={"about": json.dumps(about, sort_keys=True)})


def main(folder, files):
    generator = torch.Generator().manual_seed(SEED)
    model = vit.Vit(**SHAPE).double()
    randomise(model.named_parameters(), generator)
    pixels = torch.randint(0, 256, (BATCH, SHAPE["image"], SHAPE["image"], 3), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, SHAPE["classes"], (BATCH,), generator=generator)
    images = ((pixels.double() / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)

    shared = {"images": pixels, "labels": labels.int()}
    shared.update({f"model/{name}": value for name, value in model.state_dict().items()})
    tokens = []
    model.features(images, tokens=tokens)
    shared.update({f"tokens/{i}": value for i, value in enumerate(tokens)})
    write(folder / "model.safetensors", shared, dict(SHAPE, mean=0.5, std=0.5))
    for file in files:
        for key, build in importlib.import_module(f"methods.{file}").GOLDENS.items():
            method = build(model)
            own = torch.Generator().manual_seed(zlib.crc32(key.encode()))
            randomise(getattr(method, "params", {}).items(), own)
            golden = measure(model, method, images, labels)
            write(folder / f"{key}.safetensors", golden, {"method": key})
            print(f"{key:20} loss {golden['loss'].item():.6f}, {sum(name.startswith('grad/') for name in golden)} gradients")


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    main(here / "golden" / "methods", sys.argv[1:] or sorted(p.stem for p in (here / "methods").glob("*.py")))

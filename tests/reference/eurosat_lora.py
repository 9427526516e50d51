"""Trains the real ViT-Ti at 96 px on EuroSAT in plain PyTorch: the reference for loss curves and accuracies.

usage: eurosat_lora.py trace MODEL.safetensors EUROSAT OUT.safetensors
       eurosat_lora.py accuracy MODEL.safetensors EUROSAT {linear|lora|full} [--lr X] [--seed N] [--schedule plain]

Images are resized by Pillow (bicubic, with its antialias), normalised with mean = std = 0.5; 1,000 training images
(train800 then val200), batch 64, the rest of an epoch dropped (15 steps), AdamW with weight decay 1e-4 on everything
trainable, 10 epochs with one of warm-up, no dropout, no drop-path, position embedding resampled to 6 x 6.

The trace holds what another program needs to repeat 100 LoRA steps: `pixels` and `labels` of the 1,000 images,
`init/...` (method parameters and head), `batch` [100, 64] (rows of `labels`), `lr` [100], and then what must come out:
`loss` [100], `final/...`; `loss64` is the same run in float64, which shows how far rounding alone carries the losses.
"""
import argparse
import math
import os
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

import vit
from methods.full import Full
from methods.linear import Linear
from methods.lora import LoRA

SIDE, BATCH, EPOCHS, WARMUP, DECAY, RANK = 96, 64, 10, 1, 1e-4, 8
LR = {"linear": 1e-2, "lora": 1e-3, "full": 1e-4}
LR_MIN, LR_START = 1e-5, 1e-6
METHODS = {"linear": lambda m: Linear(), "lora": lambda m: LoRA(m, RANK, 1), "full": lambda m: Full()}


def load_images(folder, *lists):
    """uint8 [N, SIDE, SIDE, 3] and labels of `path label` lists."""
    pixels, labels = [], []
    for name in lists:
        for line in (pathlib.Path(folder) / name).read_text().splitlines():
            path, label = line.rsplit(" ", 1)
            image = Image.open(pathlib.Path(folder) / path).convert("RGB")
            pixels.append(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)))
            labels.append(int(label))
    return torch.from_numpy(np.stack(pixels)), torch.tensor(labels)


def normalise(pixels, dtype):
    return ((pixels.to(dtype) / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)


def rate(epoch, top, schedule):
    """Cosine by epoch. `study` is the published study's: warm-up from LR_START, applied one epoch late (epochs 0 and 1
    share a rate); `plain` warms up linearly to `top` over WARMUP epochs and then falls from `top`."""
    if schedule == "plain":
        if epoch < WARMUP:
            return top * (epoch + 1) / (WARMUP + 1)
        part = (epoch - WARMUP) / (EPOCHS - WARMUP)
        return LR_MIN + 0.5 * (top - LR_MIN) * (1 + math.cos(math.pi * part))
    t = max(epoch - 1, 0)
    if t < WARMUP:
        return LR_START + t * (top - LR_START) / WARMUP
    return LR_MIN + 0.5 * (top - LR_MIN) * (1 + math.cos(math.pi * t / EPOCHS))


def build(weights, kind, classes, seed, dtype):
    """The model with head and method at their initial values; drawn in float32, so that both types start equal."""
    generator = torch.Generator().manual_seed(seed)
    model = vit.vit_from_state(load_file(weights), SIDE, heads=3, classes=classes, fused=True)
    method = METHODS[kind](model)
    bound = 1 / math.sqrt(model.head.in_features)
    with torch.no_grad():
        down = [value for name, value in method.named_parameters() if name.startswith("a_")]
        for value in [model.head.weight, model.head.bias] + down:
            value.uniform_(-bound, bound, generator=generator)
    vit.freeze(model, method)
    return model.to(dtype), method.to(dtype)


def batches(count, steps, seed):
    """[steps, BATCH] rows: a fresh permutation every epoch, its last incomplete batch dropped."""
    generator = torch.Generator().manual_seed(1000 + seed)
    rows = []
    while len(rows) < steps:
        rows += torch.randperm(count, generator=generator)[:count // BATCH * BATCH].split(BATCH)
    return torch.stack(rows[:steps])


def train(model, method, images, labels, order, rates):
    trainable = [p for p in list(model.parameters()) + list(method.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=rates[0], weight_decay=DECAY)
    losses = []
    for rows, lr in zip(order, rates):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(images[rows], method), labels[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64)


def accuracy(model, method, images, labels):
    with torch.inference_mode():
        guess = torch.cat([model(some, method).argmax(1) for some in images.split(100)])
    right = (guess == labels).double()
    return 100 * right[:1000].mean().item(), 100 * right.mean().item()


def state(model, method, dtype=torch.float32):
    """Trainable tensors of a LoRA run under the names of the plugins."""
    out = {name: value for name, value in method.params.items()}
    out.update({name: value for name, value in model.named_parameters() if value.requires_grad})
    return {name: value.detach().to(dtype).contiguous().clone() for name, value in out.items()}


def trace(args, steps=100, seed=0):
    pixels, labels = load_images(args.data, "train800.txt", "val200.txt")
    per_epoch = len(labels) // BATCH
    order = batches(len(labels), steps, seed)
    rates = [rate(step // per_epoch, LR["lora"], "study") for step in range(steps)]
    out = {"pixels": pixels, "labels": labels.int(), "batch": order.int(), "lr": torch.tensor(rates)}
    for dtype, key in ((torch.float32, "loss"), (torch.float64, "loss64")):
        model, method = build(args.weights, "lora", int(labels.max()) + 1, seed, dtype)
        if dtype == torch.float32:
            out.update({f"init/{name}": value for name, value in state(model, method).items()})
        out[key] = train(model, method, normalise(pixels, dtype), labels, order, rates)
        if dtype == torch.float32:
            out.update({f"final/{name}": value for name, value in state(model, method).items()})
    gap = ((out["loss"] - out["loss64"]).abs() / out["loss64"]).max().item()
    print(f"loss {out['loss'][0]:.6f} to {out['loss'][-1]:.6f}; float32 and float64 part by {gap:.2e} relative at most")
    for name in ("loss", "loss64"):
        out[name] = out[name].float()
    save_file(out, args.out)


def run(args):
    pixels, labels = load_images(args.data, "train800.txt", "val200.txt")
    per_epoch = len(labels) // BATCH
    lr = args.lr or LR[args.kind]
    rates = [rate(epoch, lr, args.schedule) for epoch in range(EPOCHS) for _ in range(per_epoch)]
    order = batches(len(labels), len(rates), args.seed)
    model, method = build(args.weights, args.kind, int(labels.max()) + 1, args.seed, torch.float32)
    start = time.perf_counter()
    losses = train(model, method, normalise(pixels, torch.float32), labels, order, rates)
    seconds = time.perf_counter() - start
    test_pixels, test_labels = load_images(args.data, "test.txt")
    first, whole = accuracy(model, method, normalise(test_pixels, torch.float32), test_labels)
    print(f"{args.kind} lr {lr:g} {args.schedule} seed {args.seed}: {first:.1f} % of the first 1,000 test images, "
          f"{whole:.2f} % of {len(test_labels)}; last epoch's loss {losses[-per_epoch:].mean():.4f}; "
          f"{len(rates) * BATCH / seconds:.1f} images/s, {torch.get_num_threads()} threads, "
          f"load {os.getloadavg()[0]:.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, what in (("trace", trace), ("accuracy", run)):
        sub = verbs.add_parser(verb)
        sub.set_defaults(do=what)
        sub.add_argument("weights")
        sub.add_argument("data")
        sub.add_argument("--threads", type=int, default=2)
        if verb == "trace":
            sub.add_argument("out")
        else:
            sub.add_argument("kind", choices=METHODS)
            sub.add_argument("--lr", type=float)
            sub.add_argument("--seed", type=int, default=0)
            sub.add_argument("--schedule", choices=("study", "plain"), default="study")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.do(args)


if __name__ == "__main__":
    main()

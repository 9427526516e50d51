"""Makes golden/adamw.safetensors: torch.optim.AdamW over given gradients, with every state after every step.

`lr` and `grad` are the inputs; `weight` [STEPS + 1, N] starts with the initial values; `first` and `second` are the
running moments after each step. Gradients span six orders of magnitude and some are zero, so that eps matters.
Computed in float64 (`weight`, `first`, `second` stored as float32).
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file

STEPS, N, SEED = 20, 100, 7
SETTINGS = dict(betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2)


def main(path):
    generator = torch.Generator().manual_seed(SEED)
    grad = torch.randn(STEPS, N, generator=generator) * torch.logspace(-6, 0, N)
    grad[:, ::17] = 0
    lr = torch.tensor([1e-2 * (step + 1) / 5 if step < 5 else 1e-2 * 0.9 ** (step - 4) for step in range(STEPS)])
    start = torch.randn(N, generator=generator)

    weight = torch.nn.Parameter(start.double())
    optimizer = torch.optim.AdamW([weight], **SETTINGS)
    weights, first, second = [start.double()], [], []
    for step in range(STEPS):
        weight.grad = grad[step].double()
        optimizer.param_groups[0]["lr"] = lr[step].item()
        optimizer.step()
        state = optimizer.state[weight]
        for kept, value in ((weights, weight), (first, state["exp_avg"]), (second, state["exp_avg_sq"])):
            kept.append(value.detach().clone())
    save_file({"grad": grad, "lr": lr, "weight": torch.stack(weights).float(), "first": torch.stack(first).float(),
               "second": torch.stack(second).float()}, path, metadata={"about": json.dumps(SETTINGS)})


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else
         pathlib.Path(__file__).parent / "golden" / "adamw.safetensors")

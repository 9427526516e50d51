"""Writes all 152 gradients of the real ViT-Ti for its golden input, and checks logits, loss and norms on the way.

usage: make_vit_tiny_gradients.py ASSET_FOLDER OUT.safetensors
ASSET_FOLDER is the unpacked vit_tiny_patch16_224_augreg. The result (23 MB, float64 arithmetic stored as float32,
timm names, plus `logits` and `loss`) is not committed.
"""
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import vit

GRADIENT_TOLERANCE = 1e-4  # relative, against norms that were taken in float32


def main(asset, out):
    asset = pathlib.Path(asset)
    model = vit.vit_from_state(load_file(asset / "model.safetensors"), image=224, heads=3).double()
    told = json.loads((asset / "golden" / "golden.json").read_text())
    images = np.fromfile(asset / "golden" / "input_4x3x224x224.f32", "<f4").reshape(4, 3, 224, 224)
    tokens = []
    feature = model.features(torch.from_numpy(images).double(), tokens=tokens)
    logits = model.head(feature)
    loss = F.cross_entropy(logits, torch.tensor(told["labels"]))
    loss.backward()

    stored = np.fromfile(asset / "golden" / "tokens_image0_13x197x192.f32", "<f4").reshape(13, 197, 192)
    worst_token = max(np.abs(t[0].detach().numpy() - s).max() for t, s in zip(tokens, stored))
    stored = np.fromfile(next((asset / "golden").glob("logits*.f32")), "<f4").reshape(4, -1)
    worst_logit = np.abs(logits.detach().numpy() - stored).max()
    print(f"logits differ by {worst_logit:.2e}, tokens by {worst_token:.2e}, loss {loss.item():.7f} "
          f"against {told['loss_mean_ce']:.7f}")

    worst = (0.0, "")
    gradients = {name: value.grad for name, value in model.named_parameters()}
    assert set(gradients) == set(told["grads"]), "tensor names differ from golden.json"
    for name, grad in gradients.items():
        want = told["grads"][name]
        error = abs(grad.norm().item() - want["grad_l2"]) / want["grad_l2"]
        worst = max(worst, (error, name))
    print(f"{len(gradients)} gradients, worst relative error of a norm {worst[0]:.2e} ({worst[1]})")
    assert worst[0] < GRADIENT_TOLERANCE and worst_logit < 1e-4

    gradients.update(logits=logits, loss=loss.reshape(1))
    save_file({name: value.detach().float().contiguous() for name, value in gradients.items()}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Makes golden/pos_resample.safetensors: position embeddings resampled as timm does, to smaller and larger grids.

`from_G` is a random [1 + G*G, 8]; `from_G_to_H` is the same for an H x H grid. With two arguments,
MODEL.safetensors OUT.safetensors, it resamples a model's own `pos_embed` instead, to `to_6` and `to_16`.
"""
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file

import vit

CASES = {7: (1, 2, 3, 6, 7, 8, 14), 14: (2, 6, 7, 13, 15, 16, 24), 5: (4, 11)}
DIM, SEED = 8, 11


def small(path):
    generator = torch.Generator().manual_seed(SEED)
    out = {}
    for old, grids in CASES.items():
        pos = torch.randn(1, 1 + old * old, DIM, generator=generator)
        out[f"from_{old}"] = pos[0]
        out.update({f"from_{old}_to_{grid}": vit.resample_pos_embed(pos, grid)[0].contiguous() for grid in grids})
    save_file({name: value.clone() for name, value in out.items()}, path)


def real(model, path):
    pos = load_file(model)["pos_embed"]
    save_file({f"to_{grid}": vit.resample_pos_embed(pos, grid)[0].contiguous() for grid in (6, 16)}, path)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        real(sys.argv[1], sys.argv[2])
    else:
        small(sys.argv[1] if len(sys.argv) > 1 else
              pathlib.Path(__file__).parent / "golden" / "pos_resample.safetensors")

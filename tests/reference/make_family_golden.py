#!/usr/bin/env python3
"""Writes golden/families: a tiny random model of each family in each format that users have, and what its own
implementation (timm, transformers, open_clip) computes with it. Weights are rounded to half precision first, so that
the files are small and both sides compute with the same numbers.

    pip install torch timm transformers open_clip_torch safetensors; python3 make_family_golden.py
"""
import importlib.abc
import importlib.machinery
import json
import math
import os
import shutil
import sys

import types

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file

try:
    import torchvision  # noqa: F401
except ImportError:  # timm and open_clip take layers and image transforms from it that are not needed here
    class Names(type):
        def __getattr__(cls, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return name

    class Stand(types.ModuleType):
        __path__ = []

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return sys.modules.get(self.__name__ + "." + name) or Names(name, (), {})

    class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, path, target=None):
            return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.split(".")[0] == "torchvision" else None

        def create_module(self, spec):
            return Stand(spec.name)

        def exec_module(self, module):
            pass

    sys.meta_path.append(Finder())
import open_clip  # noqa: E402
import timm  # noqa: E402
from timm.models.vision_transformer import VisionTransformer  # noqa: E402

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", "families")
DIM, DEPTH, HEADS, HIDDEN, PATCH, IMAGE, CLASSES, LARGER = 24, 2, 2, 48, 4, 16, 5, 24
golden = {}


def draw(model, seed):
    """Every number at random, as if trained: nothing zero or one."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.state_dict().items():
            if not p.is_floating_point():
                continue
            gain = p.dim() == 1 and name.endswith(("weight", "lambda1", "gamma"))
            p.copy_(((1.0 if gain else 0.0) + torch.randn(p.shape, generator=g) * (p[0].numel() ** -0.5 if p.dim() > 1 else 0.2)).half().float())
    return model.eval()


def images(side):
    g = torch.Generator().manual_seed(7)
    pixels = torch.randint(0, 256, (2, side, side, 3), generator=g, dtype=torch.uint8)
    golden["images_%d" % side] = pixels
    return (pixels.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5


def halves(state):
    return {k: v.half().contiguous() if v.is_floating_point() else v for k, v in state.items()}


def on_disk(model):
    """Its state as users have it in files: transformers has other names in memory."""
    folder = OUT + "/check"
    model.save_pretrained(folder)
    state = load_file(folder + "/model.safetensors")
    shutil.rmtree(folder)
    return state


def keep(name, value):
    golden[name] = value.detach().float().contiguous()


def to_google(state, attention, mlp, norm2, positions):
    """timm's names to Google's, as published tables have them; checked by timm's own reader."""
    out = {"cls": state["cls_token"], positions: state["pos_embed"],
           "embedding/kernel": state["patch_embed.proj.weight"].permute(2, 3, 1, 0),
           "embedding/bias": state["patch_embed.proj.bias"],
           "Transformer/encoder_norm/scale": state["norm.weight"], "Transformer/encoder_norm/bias": state["norm.bias"],
           "head/kernel": state["head.weight"].T, "head/bias": state["head.bias"]}
    for i in range(DEPTH):
        b, t = "blocks.%d." % i, "Transformer/encoderblock_%d/" % i
        w, v = state[b + "attn.qkv.weight"].chunk(3), state[b + "attn.qkv.bias"].chunk(3)
        for k, part in enumerate(("query", "key", "value")):
            out[t + attention + "/" + part + "/kernel"] = w[k].T.reshape(DIM, HEADS, DIM // HEADS)
            out[t + attention + "/" + part + "/bias"] = v[k].reshape(HEADS, DIM // HEADS)
        out[t + attention + "/out/kernel"] = state[b + "attn.proj.weight"].T.reshape(HEADS, DIM // HEADS, DIM)
        out[t + attention + "/out/bias"] = state[b + "attn.proj.bias"]
        for norm, theirs in (("norm1", "LayerNorm_0"), ("norm2", norm2)):
            out[t + theirs + "/scale"], out[t + theirs + "/bias"] = state[b + norm + ".weight"], state[b + norm + ".bias"]
        for fc, dense in (("fc1", "Dense_0"), ("fc2", "Dense_1")):
            out[t + mlp + "/" + dense + "/kernel"] = state[b + "mlp.%s.weight" % fc].T
            out[t + mlp + "/" + dense + "/bias"] = state[b + "mlp.%s.bias" % fc]
    return {k: v.numpy() for k, v in out.items()}


def timm_vit(**more):
    arguments = dict(img_size=IMAGE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, mlp_ratio=HIDDEN / DIM,
                     num_classes=CLASSES)
    arguments.update(more)
    return VisionTransformer(**arguments)


def plain(small, large):
    model = draw(timm_vit(), 1)
    state = model.state_dict()
    keep("timm_logits", model(small))
    save_file(halves(state), OUT + "/timm.safetensors")
    torch.save({"model": {k: v.half() for k, v in state.items()}, "epoch": 3, "note": "x"}, OUT + "/timm_nested.pth")
    views = torch.cat([v.half().flatten() for v in state.values()])  # one storage for all, every second one transposed
    at, shared = 0, {}
    for k, v in state.items():
        part = views[at:at + v.numel()]
        at += v.numel()
        shared[k] = part.view(v.shape)
    shared["blocks.0.mlp.fc1.weight"] = state["blocks.0.mlp.fc1.weight"].half().t().contiguous().t()
    torch.save(shared, OUT + "/timm_views.pt")
    model.set_input_size(img_size=LARGER)
    keep("timm_logits_large", model(large))

    variants = {"google": ("MultiHeadDotProductAttention_1", "MlpBlock_3", "LayerNorm_2",
                           "Transformer/posembed_input/pos_embedding", ""),
                "google_opt": ("MultiHeadDotProductAttention_1", "MlpBlock_3", "LayerNorm_2",
                               "Transformer/posembed_input/pos_embedding", "opt/target/"),
                "big_vision": ("MultiHeadDotProductAttention_0", "MlpBlock_0", "LayerNorm_1", "pos_embedding", "params/")}
    for name, (attention, mlp, norm2, positions, prefix) in variants.items():
        arrays = {prefix + k: v for k, v in to_google(state, attention, mlp, norm2, positions).items()}
        again = timm_vit()
        np.savez(OUT + "/check.npz", **arrays)
        again.load_pretrained(OUT + "/check.npz")
        assert torch.equal(again.eval()(small), golden["timm_logits"]), name
        os.remove(OUT + "/check.npz")
        write = np.savez_compressed if name == "google" else np.savez
        if name == "google":
            arrays["pre_logits/kernel"], arrays["pre_logits/bias"] = np.zeros((2, 2), "f4"), np.zeros(2, "f4")
            arrays = {k: np.asfortranarray(v) if "fc" in k or "Dense" in k else v for k, v in arrays.items()}
        write(OUT + "/%s.npz" % name, **{k: v.astype("f2") for k, v in arrays.items()})


def masked_autoencoder(small, large):
    model = draw(timm_vit(num_classes=0), 2)
    keep("mae_features", model.forward_features(small)[:, 0])
    state = {k: v.half() for k, v in model.state_dict().items()}
    grid = model.pos_embed[:, 1:].reshape(1, 4, 4, DIM).permute(0, 3, 1, 2)  # MAE's util/pos_embed.py
    bigger = F.interpolate(grid, size=(6, 6), mode="bicubic", align_corners=False).permute(0, 2, 3, 1).flatten(1, 2)
    again = timm_vit(num_classes=0, img_size=LARGER).eval()
    again.load_state_dict({**model.state_dict(), "pos_embed": torch.cat([model.pos_embed[:, :1], bigger], 1)})
    keep("mae_features_large", again.forward_features(large)[:, 0])
    state.update({"mask_token": torch.zeros(1, 1, 8).half(), "decoder_embed.weight": torch.zeros(8, DIM).half(),
                  "decoder_pos_embed": torch.zeros(1, 17, 8).half()})
    torch.save({"model": state}, OUT + "/mae.pth")


def hugging_face_vit(small, large):
    config = transformers.ViTConfig(hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
                                    intermediate_size=HIDDEN, image_size=IMAGE, patch_size=PATCH, num_labels=CLASSES)
    model = draw(transformers.ViTForImageClassification(config), 3)
    keep("hf_vit_logits", model(small).logits)
    keep("hf_vit_logits_large", model(large, interpolate_pos_encoding=True).logits)
    folder = OUT + "/hf_vit"
    shutil.rmtree(folder, ignore_errors=True)
    model.half().save_pretrained(folder, max_shard_size="12KB")
    with open(folder + "/preprocessor_config.json", "w") as f:
        json.dump({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}, f)


def hugging_face_dinov2(small, large):
    common = dict(hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS, mlp_ratio=HIDDEN // DIM,
                  image_size=IMAGE, patch_size=PATCH)
    model = draw(transformers.Dinov2Model(transformers.Dinov2Config(**common)), 4)
    keep("dinov2_features", model(small).last_hidden_state[:, 0])
    keep("hf_dinov2_features", model(small).last_hidden_state[:, 0])
    keep("hf_dinov2_features_large", model(large).last_hidden_state[:, 0])
    save_file(halves(on_disk(model)), OUT + "/hf_dinov2.safetensors")
    original(on_disk(model), OUT + "/dinov2.pth")
    grid = model.embeddings.position_embeddings[:, 1:].reshape(1, 4, 4, DIM).permute(0, 3, 1, 2)
    factor = (6 + 0.1) / 4  # dinov2/models/vision_transformer.py, interpolate_offset 0.1
    bigger = F.interpolate(grid, scale_factor=(factor, factor), mode="bicubic", antialias=False)
    assert bigger.shape[-1] == 6
    same = transformers.Dinov2Model(transformers.Dinov2Config(**{**common, "image_size": LARGER})).eval()
    state = model.state_dict()
    state["embeddings.position_embeddings"] = torch.cat([state["embeddings.position_embeddings"][:, :1],
                                                         bigger.permute(0, 2, 3, 1).flatten(1, 2)], 1)
    same.load_state_dict(state)
    keep("dinov2_features_large", same(large).last_hidden_state[:, 0])

    model = draw(transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(num_register_tokens=4, **common)), 5)
    keep("registers_features", model(small).last_hidden_state[:, 0])
    keep("registers_features_large", model(large).last_hidden_state[:, 0])
    save_file(halves(on_disk(model)), OUT + "/hf_registers.safetensors")
    original(on_disk(model), OUT + "/registers.pth")

    model = draw(timm_vit(num_classes=0, init_values=1e-5, reg_tokens=4, no_embed_class=True), 6)
    keep("timm_registers_features", model.forward_features(small)[:, 0])
    save_file(halves(model.state_dict()), OUT + "/timm_registers.safetensors")


def original(state, path):
    """Hugging Face's names back to facebookresearch/dinov2's."""
    out = {}
    for k, v in state.items():
        k = k.replace("embeddings.patch_embeddings.projection", "patch_embed.proj").replace("embeddings.position_embeddings", "pos_embed")
        k = k.replace("embeddings.", "").replace("encoder.layer.", "blocks.").replace("layernorm.", "norm.")
        k = k.replace("layer_scale1.lambda1", "ls1.gamma").replace("layer_scale2.lambda1", "ls2.gamma")
        k = k.replace("attention.output.dense", "attn.proj")
        out[k] = v.half()
    for i in range(DEPTH):
        for kind in ("weight", "bias"):
            out["blocks.%d.attn.qkv.%s" % (i, kind)] = torch.cat(
                [out.pop("blocks.%d.attention.attention.%s.%s" % (i, p, kind)) for p in ("query", "key", "value")])
    torch.save(out, path)


def clip(small, large):
    text = dict(vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                max_position_embeddings=8, bos_token_id=38, eos_token_id=39, projection_dim=12)
    vision = dict(hidden_size=DIM, intermediate_size=HIDDEN, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
                  image_size=IMAGE, patch_size=PATCH, projection_dim=12)
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    model = draw(transformers.CLIPModel(config), 8)

    def features(x, **more):
        return model.visual_projection(model.vision_model(pixel_values=x, **more).pooler_output)
    keep("hf_clip_features", features(small))
    keep("hf_clip_features_large", features(large, interpolate_pos_encoding=True))
    save_file(halves(on_disk(model)), OUT + "/hf_clip.safetensors")

    model = draw(open_clip.CLIP(12, dict(image_size=IMAGE, layers=DEPTH, width=DIM, head_width=DIM // HEADS, patch_size=PATCH,
                                         mlp_ratio=HIDDEN / DIM),
                                dict(context_length=8, vocab_size=40, width=16, heads=2, layers=1), quick_gelu=False), 9)
    keep("open_clip_features", model.encode_image(small))
    torch.save({k: v.half() for k, v in model.state_dict().items()}, OUT + "/open_clip.bin")

    quick = open_clip.CLIP(12, dict(image_size=IMAGE, layers=DEPTH, width=DIM, head_width=DIM // HEADS, patch_size=PATCH,
                                    mlp_ratio=HIDDEN / DIM),
                           dict(context_length=8, vocab_size=40, width=16, heads=2, layers=1), quick_gelu=True).eval()
    quick.load_state_dict(model.state_dict())
    keep("openai_clip_features", quick.encode_image(small))
    openai = {k: v.half() for k, v in model.state_dict().items() if k != "attn_mask"}
    openai.update({"input_resolution": torch.tensor(IMAGE), "context_length": torch.tensor(8), "vocab_size": torch.tensor(40)})
    torch.save(openai, OUT + "/openai_clip.pt")
    # as OpenAI's downloads are: the model traced, its programs beside its tensors
    for name in ("input_resolution", "context_length", "vocab_size"):
        vars(quick).pop(name, None)
        quick.register_buffer(name, openai[name])
    script = torch.jit.trace(quick, (small, torch.zeros(2, 8, dtype=torch.long)), check_trace=False)
    for p in script.parameters():
        p.data = p.data.half()
    script.save(OUT + "/openai_clip_script.pt")


def main():
    os.makedirs(OUT, exist_ok=True)
    torch.set_num_threads(1)
    with torch.no_grad():
        small, large = images(IMAGE), images(LARGER)
        plain(small, large)
        masked_autoencoder(small, large)
        hugging_face_vit(small, large)
        hugging_face_dinov2(small, large)
        clip(small, large)
    versions = {m.__name__: m.__version__ for m in (torch, timm, transformers, open_clip)}
    save_file({k: v.contiguous() for k, v in golden.items()}, OUT + "/golden.safetensors", metadata=versions)
    print(versions, math.fsum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(OUT) for f in fs), "bytes")


if __name__ == "__main__":
    sys.exit(main())

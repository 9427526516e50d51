"""Adapters that HF peft makes, with the logits that it computes with them; and adapters from here, loaded in peft.

    pip install torch safetensors peft transformers timm         made with peft 0.21.2 and the versions below
    python3 make_peft_golden.py make  timm|hf|hf5                writes golden/peft/NAMES_CASE/
    python3 make_peft_golden.py check timm|hf|hf5 FOLDER         loads FOLDER/NAMES_*/, as tests/peft/peft_samples wrote

`timm` needs timm (1.0.31), `hf` transformers 4 (4.57.6), `hf5` transformers 5 (5.24). The model is the two-block ViT of
golden/methods/model.safetensors, as timm's VisionTransformer or as ViTForImageClassification. `make` gives every
parameter of an adapter random numbers, the head's too, saves it with save_pretrained and its logits beside it. `check`
loads with PeftModel.from_pretrained, refuses missing and unexpected keys, prints the largest difference of a logit and
ends with 1 where it is above the tolerance.
"""
import pathlib
import re
import sys
import warnings

import torch
from safetensors.torch import load_file, save_file

GOLDEN = pathlib.Path(__file__).parent / "golden"
SHAPE = dict(image=32, patch=8, dim=24, depth=2, heads=3, hidden=96, classes=7)
TOLERANCE = 1e-4  # of a logit; float32 rounding is 1e-6
EFFECT = 1e-2  # what an adapter must change for its agreement to mean something

HF_NAMES = {
    "hf": [(r"blocks\.(\d+)\.attn\.([qkv])\.", r"vit.encoder.layer.\1.attention.attention.\2."),
           (r"attention\.q\.", "attention.query."), (r"attention\.k\.", "attention.key."),
           (r"attention\.v\.", "attention.value."),
           (r"blocks\.(\d+)\.attn\.proj\.", r"vit.encoder.layer.\1.attention.output.dense."),
           (r"blocks\.(\d+)\.mlp\.fc1\.", r"vit.encoder.layer.\1.intermediate.dense."),
           (r"blocks\.(\d+)\.mlp\.fc2\.", r"vit.encoder.layer.\1.output.dense."),
           (r"blocks\.(\d+)\.norm1\.", r"vit.encoder.layer.\1.layernorm_before."),
           (r"blocks\.(\d+)\.norm2\.", r"vit.encoder.layer.\1.layernorm_after.")],
    "hf5": [(r"blocks\.(\d+)\.attn\.([qkv])\.", r"vit.layers.\1.attention.\2_proj."),
            (r"blocks\.(\d+)\.attn\.proj\.", r"vit.layers.\1.attention.o_proj."),
            (r"blocks\.(\d+)\.mlp\.", r"vit.layers.\1.mlp."),
            (r"blocks\.(\d+)\.norm1\.", r"vit.layers.\1.layernorm_before."),
            (r"blocks\.(\d+)\.norm2\.", r"vit.layers.\1.layernorm_after.")],
}
HF_REST = [(r"^norm\.", "vit.layernorm."), (r"^head\.", "classifier."), (r"^cls_token", "vit.embeddings.cls_token"),
           (r"^pos_embed", "vit.embeddings.position_embeddings"),
           (r"^patch_embed\.proj\.", "vit.embeddings.patch_embeddings.projection.")]


def hf_state(state, names):
    out = {}
    for name, value in state.items():
        pieces = {name: value}
        if ".qkv." in name:
            pieces = {name.replace("qkv", part): piece for part, piece in zip("qkv", value.chunk(3))}
        for piece_name, piece in pieces.items():
            for pattern, to in HF_NAMES[names] + HF_REST:
                piece_name = re.sub(pattern, to, piece_name)
            out[piece_name] = piece.clone()
    return out


def backbone(names):
    state = {name[6:]: value for name, value in load_file(GOLDEN / "methods/model.safetensors").items()
             if name.startswith("model/")}
    if names == "timm":
        from timm.models.vision_transformer import VisionTransformer
        model = VisionTransformer(img_size=SHAPE["image"], patch_size=SHAPE["patch"], embed_dim=SHAPE["dim"],
                                  depth=SHAPE["depth"], num_heads=SHAPE["heads"], num_classes=SHAPE["classes"])
    else:
        from transformers import ViTConfig, ViTForImageClassification
        config = ViTConfig(image_size=SHAPE["image"], patch_size=SHAPE["patch"], hidden_size=SHAPE["dim"],
                           num_hidden_layers=SHAPE["depth"], num_attention_heads=SHAPE["heads"],
                           intermediate_size=SHAPE["hidden"], num_labels=SHAPE["classes"], layer_norm_eps=1e-6,
                           hidden_dropout_prob=0, attention_probs_dropout_prob=0)
        model = ViTForImageClassification(config)
        state = hf_state(state, names)
    model.load_state_dict(state)
    return model.eval()


def images():
    pixels = load_file(GOLDEN / "methods/model.safetensors")["images"]
    return ((pixels.float() / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)


@torch.no_grad()
def logits_of(model):
    out = model(images())
    return getattr(out, "logits", out)


# --- adapters made here: names, case, the configuration

def cases(p, names):
    head = {"modules_to_save": ["head" if names == "timm" else "classifier"]}
    if names == "timm":
        yield "lora", p.LoraConfig(r=3, lora_alpha=5, lora_dropout=0.1, target_modules=["qkv"], **head)
        yield "rslora_all", p.LoraConfig(r=2, lora_alpha=3, use_rslora=True,
                                         target_modules=["qkv", "attn.proj", "fc1", "fc2"], **head)
        yield "dora", p.LoraConfig(r=3, lora_alpha=5, use_dora=True, target_modules=["qkv"], **head)
        yield "ia3", p.IA3Config(target_modules=["qkv", "fc2"], feedforward_modules=["fc2"], **head)
        yield "vera", p.VeraConfig(r=5, target_modules=["qkv"], **head)
        yield "loha", p.LoHaConfig(r=3, alpha=4, target_modules=["qkv"], **head)
        yield "lokr", p.LoKrConfig(r=2, alpha=3, target_modules=["qkv"], **head)
        yield "lokr_whole", p.LoKrConfig(r=6, alpha=3, target_modules=["qkv"], **head)
        yield "lokr_both", p.LoKrConfig(r=2, alpha=3, decompose_both=True, target_modules=["qkv"], **head)
        yield "oft", p.OFTConfig(r=0, oft_block_size=8, target_modules=["qkv"], **head)
        yield "oft_shared", p.OFTConfig(r=0, oft_block_size=6, block_share=True, use_cayley_neumann=False,
                                        target_modules=["qkv"], **head)
        yield "boft", p.BOFTConfig(boft_block_size=4, boft_n_butterfly_factor=2, target_modules=["qkv"], **head)
        yield "adalora", p.AdaLoraConfig(init_r=4, target_r=2, lora_alpha=6, total_step=100, target_modules=["qkv"],
                                         **head)
        yield "lora_pickled", p.LoraConfig(r=2, lora_alpha=5, target_modules=["qkv"], **head)  # as older versions saved
        return
    q, k, v, fc2 = ("query", "key", "value", "output.dense") if names == "hf" else ("q_proj", "k_proj", "v_proj", "fc2")
    proj = "attention.output.dense" if names == "hf" else "o_proj"
    layer = r"vit\.encoder\.layer\.\d+\." if names == "hf" else r"vit\.layers\.\d+\."
    yield "lora_qv", p.LoraConfig(r=3, lora_alpha=5, target_modules=[q, v], **head)
    yield "lora_apart", p.LoraConfig(r=2, lora_alpha=5, target_modules=[q, k, v, proj], **head)
    yield "lora_some", p.LoraConfig(r=2, lora_alpha=5, target_modules=layer + rf"(.*{k}|.*fc1|.*intermediate\.dense)",
                                    **head)
    yield "lora_headless", p.LoraConfig(r=2, lora_alpha=5, target_modules=[q, v])
    if names == "hf":
        return
    yield "dora_qv", p.LoraConfig(r=2, lora_alpha=5, use_dora=True, target_modules=[q, v], **head)
    yield "ia3", p.IA3Config(target_modules=[q, v, fc2], feedforward_modules=[fc2], **head)
    yield "vera_qv", p.VeraConfig(r=5, target_modules=[q, v], **head)
    yield "loha_apart", p.LoHaConfig(r=2, alpha=3, target_modules=[q, k, v], **head)
    yield "loha_k", p.LoHaConfig(r=2, alpha=3, target_modules=[k], **head)
    yield "lokr_apart", p.LoKrConfig(r=2, alpha=3, target_modules=[q, k, v], **head)
    yield "oft_alike", p.OFTConfig(r=0, oft_block_size=8, target_modules=[q, k, v], **head)
    yield "oft_apart", p.OFTConfig(r=0, oft_block_size=8, target_modules=[q, k, v], **head)  # to be refused
    yield "adalora_ranks", p.AdaLoraConfig(init_r=4, target_r=2, lora_alpha=6, total_step=100, target_modules=[q, v],
                                           **head)


def randomise(model, case, generator):
    """Every number of the adapter and of the head that goes with it; `alike`: the same for q, k and v."""
    with torch.no_grad():
        first = {}
        for name, value in model.named_parameters():
            # peft calls AdaLoRA's frozen rank a parameter, too
            if "default" not in name or "ranknum" in name or "original_module" in name:
                continue
            size = {"modules_to_save": 0.3, "lokr": 0.5, "hada": 0.5, "boft_R": 0.3, "oft": 0.2,
                    "vera_lambda_d": 0.5}.get(next((k for k in ("modules_to_save", "lokr", "hada", "boft_R", "oft",
                                                                "vera_lambda_d") if k in name), ""), 0.3)
            draw = torch.randn(value.shape, generator=generator) * size
            if "ia3_l" in name or "boft_s" in name:
                draw = 1 + draw
            elif "magnitude" in name:
                draw = value * (1 + draw)
            if case.endswith("alike") and "oft" in name:
                block = re.search(r"layers?\.(\d+)", name).group(1)
                draw = first.setdefault(block, draw)
            value.copy_(draw)


def prune(model, p, generator):
    """AdaLoRA's ranks as its allocator leaves them: some directions zero, and a pattern that says which."""
    config, pattern = model.peft_config["default"], {}
    for name, value in model.named_parameters():
        if "lora_E" in name:
            keep = torch.rand(value.shape[0], generator=generator) < 0.6
            with torch.no_grad():
                value[~keep] = 0
            pattern[name.removeprefix("base_model.model.")] = keep.tolist()
    config.rank_pattern = pattern


def make(p, names):
    generator = torch.Generator().manual_seed(20260)
    plain = logits_of(backbone(names))
    for case, config in cases(p, names):
        folder = GOLDEN / "peft" / f"{names}_{case}"
        model = p.get_peft_model(backbone(names), config).eval()
        randomise(model, case, generator)
        if case == "adalora_ranks":
            prune(model, p, generator)
        logits = logits_of(model)
        assert (logits - plain).abs().max() > EFFECT, f"{case} changes nothing"
        model.save_pretrained(folder, safe_serialization=case != "lora_pickled")
        (folder / "README.md").unlink(missing_ok=True)
        save_file({"logits": logits.contiguous()}, folder / "logits.safetensors")
        print(f"{folder.name}: {sum(f.stat().st_size for f in folder.iterdir()):,} bytes, logits move by "
              f"{(logits - plain).abs().max():.2f}")


# --- adapters from here

def check(p, names, root):
    failed, plain = False, logits_of(backbone(names))
    folders = sorted(f for f in pathlib.Path(root).iterdir() if f.name.split("_")[0] == names)
    assert folders, f"{root} has no {names}_*"
    for folder in folders:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model = p.PeftModel.from_pretrained(backbone(names), folder).eval()
        complaints = [str(w.message) for w in told if re.search("missing|unexpected|not initialized|retrain", str(w.message))]
        kept = set(load_file(folder / "adapter_model.safetensors"))
        there = set(p.get_peft_model_state_dict(model))
        logits, wanted = logits_of(model), load_file(folder / "logits.safetensors")["logits"]
        off, effect = (logits - wanted).abs().max().item(), (wanted - plain).abs().max().item()
        bad = not off <= TOLERANCE or effect < EFFECT or complaints or kept != there
        failed |= bool(bad)
        print(f"{folder.name:24} off by {off:.1e}, logits move by {effect:.2f}{'  FAILS' if bad else ''}",
              *complaints, *sorted(kept ^ there)[:3])
    return failed


def main(verb, names, *rest):
    warnings.filterwarnings("ignore", message=".*CUDA extension.*|.*butterfly.*")
    import peft
    import peft.tuners.boft.layer as boft_layer
    from peft_parity import TorchBlockDiag
    boft_layer.get_fbd_cuda = lambda: True
    boft_layer.FastBlockDiag = TorchBlockDiag
    if names == "timm":
        import timm
        version = f"timm {timm.__version__}"
    else:
        import transformers
        version = f"transformers {transformers.__version__}"
        assert version.split()[1].startswith("4." if names == "hf" else "5."), f"{names} is not of {version}"
    print(f"peft {peft.__version__}, torch {torch.__version__}, {version}")
    return make(peft, names) if verb == "make" else check(peft, names, *rest)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Compares the equations of methods/ (which the golden files, and so the plugins, are checked against) with HF peft.

    pip install torch safetensors peft        made with peft 0.21.2
    python3 peft_parity.py [KEY ..]

For each row of CASES: the model and the method's trained-looking parameters of golden/methods/KEY.safetensors, in
float64, once through the equations and once through peft's adapters on the same plain PyTorch ViT. Prints how far the
logits, the worst gradient of the method's parameters, and the golden file itself are from the equations, as a part of
the tensor's size; ends with 1 if any is further than the tolerance.
"""
import collections
import importlib
import pathlib
import sys
import warnings

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

import make_methods_golden
import vit

TOLERANCE = 1e-5  # rounding in float64 is 1e-14; the golden files are float32, 1e-7
EFFECT = 1e-2  # the methods' parameters are far from neutral ones, so their effect on the logits is large
GOLDEN = pathlib.Path(__file__).parent / "golden" / "methods"


class SplitQkv(nn.Module):
    """The fused projection as three, for methods that peft puts on q and v alone."""

    def __init__(self, fused):
        super().__init__()
        dim = fused.in_features
        for i, name in enumerate("qkv"):
            part = nn.Linear(dim, dim).to(fused.weight.dtype)
            part.weight.data = fused.weight.data[i * dim:(i + 1) * dim].clone()
            part.bias.data = fused.bias.data[i * dim:(i + 1) * dim].clone()
            setattr(self, name, part)

    def forward(self, x):
        return torch.cat([self.q(x), self.k(x), self.v(x)], -1)


class TorchBlockDiag:
    """peft multiplies several butterflies only with its CUDA extension, whose one kernel this is."""

    @staticmethod
    def apply(blocks):
        return torch.stack([torch.block_diag(*factor) for factor in blocks])


# One parameter of ours and where peft keeps it. `module` and `tensor` name it within a block; peft's value is
# there(ours, the layer it adapts, p), the gradient of ours is back(peft's, p); p(name) is any of ours in that block.
Link = collections.namedtuple("Link", "module tensor there back", defaults=(lambda v, layer, p: v, lambda g, p: g))
# `config` makes peft's configuration; `links` is by our parameter's name, without the block.
Case = collections.namedtuple("Case", "file key config links")

QKV = "attn.qkv"
COLUMN = (lambda v, layer, p: v[:, None]), (lambda g, p: g[:, 0])


def lora_links(**more):
    return dict({"a": Link(QKV, "lora_A.default.weight"), "b": Link(QKV, "lora_B.default.weight")}, **more)


def lora_everywhere():
    places = {"": QKV, ".PROJ": "attn.proj", ".FC1": "mlp.fc1", ".FC2": "mlp.fc2"}
    return {f"{ours}{end}": Link(module, f"lora_{ours.upper()}.default.weight")
            for end, module in places.items() for ours in "ab"}


def hada(module, prefix=""):
    return {f"{prefix}{ours}": Link(module, f"hada_{theirs}.default")
            for ours, theirs in {"a1": "w1_a", "b1": "w1_b", "a2": "w2_a", "b2": "w2_b"}.items()}


def kron(module, prefix="", full=False):
    names = {"w1": "w1", "w2a": "w2"} if full else {"w1": "w1", "w2a": "w2_a", "w2b": "w2_b"}
    return {f"{prefix}{ours}": Link(module, f"lokr_{theirs}.default") for ours, theirs in names.items()}


def boft_links(factors):
    return {
        "m": Link(QKV, "boft_R.default", lambda v, layer, p: v.unflatten(0, (factors, -1)), lambda g, p: g.flatten(0, 1)),
        "scale": Link(QKV, "boft_s.default", *COLUMN),
    }


CASES = [
    Case("lora", "lora", lambda p: p.LoraConfig(r=4, lora_alpha=6, target_modules=["qkv"]), lora_links()),
    Case("lora", "lora_all", lambda p: p.LoraConfig(r=3, lora_alpha=5, use_rslora=True,
                                                    target_modules=["qkv", "attn.proj", "fc1", "fc2"]),
         lora_everywhere()),
    Case("lora", "lora_qv", lambda p: p.LoraConfig(r=5, lora_alpha=5, target_modules=["q", "v"]),
         {f"{ours}.{part.upper()}": Link(f"{QKV}.{part}", f"lora_{ours.upper()}.default.weight")
          for part in "qv" for ours in "ab"}),
    Case("dora", "dora", lambda p: p.LoraConfig(r=4, lora_alpha=6, use_dora=True, target_modules=["qkv"]),
         lora_links(m=Link(QKV, "lora_magnitude_vector.default.weight",
                           lambda v, layer, p: v + layer.base_layer.weight.norm(dim=1)))),
    Case("ia3", "ia3", lambda p: p.IA3Config(target_modules=["k", "v", "fc2"], feedforward_modules=["fc2"]), {
        "scale.k": Link(f"{QKV}.k", "ia3_l.default", *COLUMN),
        "scale.v": Link(f"{QKV}.v", "ia3_l.default", *COLUMN),
        "scale.act": Link("mlp.fc2", "ia3_l.default", lambda v, layer, p: v[None], lambda g, p: g[0])}),
    Case("adalora", "adalora",
         lambda p: p.AdaLoraConfig(init_r=5, target_r=3, lora_alpha=7, total_step=100, target_modules=["qkv"]),
         {"a": Link(QKV, "lora_A.default"), "b": Link(QKV, "lora_B.default"),
          "e": Link(QKV, "lora_E.default", lambda v, layer, p: (v * p("kept"))[:, None],
                    lambda g, p: g[:, 0] * p("kept"))}),
    Case("vera", "vera", lambda p: p.VeraConfig(r=10, target_modules=["qkv"]), {
        "a0": Link(QKV, "vera_A.default"), "b0": Link(QKV, "vera_B.default"),
        "d": Link(QKV, "vera_lambda_d.default"), "b": Link(QKV, "vera_lambda_b.default")}),
    Case("loha", "loha", lambda p: p.LoHaConfig(r=5, alpha=8, target_modules=["qkv"]), hada(QKV)),
    Case("loha", "loha_qv", lambda p: p.LoHaConfig(r=3, alpha=3, target_modules=["q", "v"]),
         hada(f"{QKV}.q") | hada(f"{QKV}.v", "v.")),
    Case("lokr", "lokr", lambda p: p.LoKrConfig(r=3, alpha=5, target_modules=["qkv"]), kron(QKV)),
    Case("lokr", "lokr_full", lambda p: p.LoKrConfig(r=6, alpha=6, target_modules=["qkv"]), kron(QKV, full=True)),
    Case("lokr", "lokr_qv", lambda p: p.LoKrConfig(r=2, alpha=3, target_modules=["q", "v"]),
         kron(f"{QKV}.q") | kron(f"{QKV}.v", "v.")),
    Case("oft", "oft", lambda p: p.OFTConfig(r=0, oft_block_size=8, target_modules=["qkv"]),
         {"q": Link(QKV, "oft_R.default.weight")}),
    Case("oft", "oft_exact", lambda p: p.OFTConfig(r=0, oft_block_size=6, use_cayley_neumann=False,
                                                   target_modules=["qkv"]),
         {"q": Link(QKV, "oft_R.default.weight")}),
    Case("boft", "boft", lambda p: p.BOFTConfig(boft_block_size=4, boft_n_butterfly_factor=2, target_modules=["qkv"]),
         boft_links(2)),
    Case("boft", "boft_small", lambda p: p.BOFTConfig(boft_block_size=2, boft_n_butterfly_factor=3,
                                                      target_modules=["qkv"]), boft_links(3)),
]


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


def backbone(shared):
    model = vit.vit_from_state({name[6:]: value for name, value in shared.items() if name.startswith("model/")},
                               make_methods_golden.SHAPE["image"], make_methods_golden.SHAPE["heads"])
    return model.double()


def by_equations(case, shared, golden, images, labels):
    model = backbone(shared)
    method = importlib.import_module(f"methods.{case.file}").GOLDENS[case.key](model)
    for name, value in method.params.items():
        value.data = golden[f"param/{name}"].double()
    return make_methods_golden.measure(model, method, images, labels)


def adapted(peft, case, shared, golden):
    """peft's model, and for each of our parameters that has a block a function that gives its gradient there."""
    model = backbone(shared)
    if any("qkv." in link.module for link in case.links.values()):
        for block in model.blocks:
            block.attn.qkv = SplitQkv(block.attn.qkv)
    model = peft.get_peft_model(model, case.config(peft)).double()
    gradients = {}
    for i, block in enumerate(model.base_model.model.blocks):
        def ours(name, i=i):
            return golden[f"param/{name}" if f"param/{name}" in golden else f"param/{name}/{i}"].double()

        for name, link in case.links.items():
            layer = block.get_submodule(link.module)
            owner, _, leaf = link.tensor.rpartition(".")
            tensor = getattr(layer.get_submodule(owner), leaf)
            with torch.no_grad():
                tensor.copy_(link.there(ours(name), layer, ours))
            if f"param/{name}" not in golden:
                gradients[f"{name}/{i}"] = lambda t=tensor, link=link, ours=ours: link.back(t.grad, ours)
    return model, gradients


def compare(peft, case, shared, images, labels):
    """Relative differences from the equations: peft's logits, its worst gradient, the golden file's worst tensor."""
    golden = load_file(GOLDEN / f"{case.key}.safetensors")
    ours = by_equations(case, shared, golden, images, labels)
    assert distance(backbone(shared)(images), ours["logits"]) > EFFECT, f"{case.key} changes nothing"
    model, gradients = adapted(peft, case, shared, golden)
    logits = model(images)
    F.cross_entropy(logits, labels).backward()
    trained = [name[6:] for name in ours if name.startswith("param/") and f"grad/{name[6:]}" in ours]
    missing = set(trained) - set(gradients)
    assert trained and not missing, f"{case.key}: no place in peft for {sorted(missing)}"
    worst = max(distance(gradient(), ours[f"grad/{name}"]) for name, gradient in gradients.items())
    return distance(logits, ours["logits"]), worst, max(distance(golden[name].double(), ours[name]) for name in ours)


def main(keys):
    warnings.filterwarnings("ignore", message=".*CUDA extension.*|.*butterfly.*")
    import peft
    import peft.tuners.boft.layer as boft_layer
    boft_layer.get_fbd_cuda = lambda: True
    boft_layer.FastBlockDiag = TorchBlockDiag
    shared = load_file(GOLDEN / "model.safetensors")
    images = ((shared["images"].double() / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)
    labels, failed = shared["labels"].long(), False
    unknown = set(keys) - {case.key for case in CASES}
    assert not unknown, f"no case is named {sorted(unknown)}"
    print(f"peft {peft.__version__}, torch {torch.__version__}\n")
    print(f"{'method':16} {'logits':>8} {'gradients':>10} {'golden file':>12}")
    for case in CASES:
        if keys and case.key not in keys:
            continue
        off = compare(peft, case, shared, images, labels)
        bad = not max(off) <= TOLERANCE
        failed |= bad
        print(f"{case.key:16} {off[0]:8.0e} {off[1]:10.0e} {off[2]:12.0e}{'  differs' if bad else ''}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Measures PyTorch on the CPU as the peer of the benchmarks: ViT inference, training steps and GEMMs in fp32.

Each item runs in its own process, so that its peak memory is its own. Prints one JSON object: medians over runs,
images/s, peak resident memory, and the machine's load before and after, because a busy machine makes every number
worthless.

usage: torch_vit.py [--model tiny] [--image 224] [--batch 8] [--threads 2] [--runs 7] [--items inference,lora,...]
                    [--gemm 1576x768x768,...]
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "reference"))
import vit  # noqa: E402
from methods.full import Full  # noqa: E402
from methods.linear import Linear  # noqa: E402
from methods.lora import LoRA  # noqa: E402
from methods.vpt import VPT  # noqa: E402

MODELS = {"tiny": (192, 3, 12), "small": (384, 6, 12), "base": (768, 12, 12), "large": (1024, 16, 24)}
CLASSES = 10
RANK = 8
PROMPTS = 10  # a block
GEMMS = "1576x768x768,1576x576x192,1576x192x192,1576x768x192,1576x192x768"  # MxNxK, 8 images of 197 tokens
GEMM_SECONDS = 0.2  # one run of a GEMM repeats it for about this long


def seconds_of(work, runs):
    """Seconds of each run, after two that are thrown away (allocation, compilation)."""
    work(), work()
    out = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        out.append(time.perf_counter() - start)
    return out


def build(args):
    torch.manual_seed(0)
    dim, heads, depth = MODELS[args.model]
    model = vit.Vit(args.image, args.patch, dim, heads, 4 * dim, depth, CLASSES, fused=True)
    images = torch.randn(args.batch, 3, args.image, args.image)
    return model, images, torch.randint(0, CLASSES, (args.batch,))


def inference(args, compiled=False):
    model, images, _ = build(args)
    model.eval()
    call = torch.compile(model) if compiled else model

    def work():
        with torch.inference_mode():
            call(images)
    return work


def training(args, method_of, compiled=False):
    """One step: forward, backward, AdamW over the trainable tensors."""
    model, images, labels = build(args)
    method = method_of(model)
    vit.freeze(model, method)
    trainable = [p for p in list(model.parameters()) + list(method.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-5)
    call = torch.compile(model) if compiled else model

    def work():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(call(images, method), labels).backward()
        optimizer.step()
    return work


def lora(model):
    return LoRA(model, RANK, 1)


def vpt(model):
    return VPT(model, PROMPTS, "deep")


ITEMS = {
    "inference": inference,
    "inference_compiled": lambda args: inference(args, compiled=True),
    "linear_step": lambda args: training(args, lambda model: Linear()),
    "lora_step": lambda args: training(args, lora),
    "lora_step_compiled": lambda args: training(args, lora, compiled=True),
    "vpt_step": lambda args: training(args, vpt),
    "full_step": lambda args: training(args, lambda model: Full()),
}


def measure_item(name, args):
    times = seconds_of(ITEMS[name](args), args.runs)
    median = statistics.median(times)
    return {"item": name, "images_per_s": round(args.batch / median, 2), "median_ms": round(1e3 * median, 3),
            "best_ms": round(1e3 * min(times), 3), "runs": args.runs,
            "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}


def measure_gemm(shape, args):
    """F.linear of [M, K] by [N, K]^T."""
    m, n, k = map(int, shape.split("x"))
    x, w = torch.randn(m, k), torch.randn(n, k)
    with torch.inference_mode():
        once = statistics.median(seconds_of(lambda: F.linear(x, w), 3))
        repeat = max(1, int(GEMM_SECONDS / once))

        def work():
            for _ in range(repeat):
                F.linear(x, w)
        times = seconds_of(work, args.runs)
    median = statistics.median(times) / repeat
    return {"item": "gemm", "m": m, "n": n, "k": k, "gflops": round(2e-9 * m * n * k / median, 1),
            "best_gflops": round(2e-9 * m * n * k * repeat / min(times), 1)}


def child(name, args):
    """Runs this script for one item alone; a failure (no compiler, out of memory) is reported, not hidden."""
    command = [sys.executable, __file__, "--only", name]
    for key in ("model", "image", "patch", "batch", "threads", "runs"):
        command += [f"--{key}", str(getattr(args, key))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"item": name, "failed": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="tiny")
    for key, value in (("image", 224), ("patch", 16), ("batch", 8), ("threads", 2), ("runs", 7)):
        parser.add_argument(f"--{key}", type=int, default=value)
    parser.add_argument("--items", default=",".join(ITEMS), help="comma-separated; empty for none")
    parser.add_argument("--gemm", default=GEMMS, help="comma-separated MxNxK; empty for none")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.only:
        print(json.dumps(measure_item(args.only, args) if args.only in ITEMS else measure_gemm(args.only, args)))
        return
    about = {"torch": torch.__version__, "cpu_capability": torch.backends.cpu.get_cpu_capability(),
             "load_before": os.getloadavg()[0], "cores": os.cpu_count()}
    about.update({key: getattr(args, key) for key in ("model", "image", "patch", "batch", "threads")})
    names = [name for name in (args.items + "," + args.gemm).split(",") if name]
    items = [child(name, args) for name in names]
    about["load_after"] = os.getloadavg()[0]
    print(json.dumps(about)[:-1] + ', "items": [\n' + ",\n".join(json.dumps(item) for item in items) + "\n]}")


if __name__ == "__main__":
    main()

"""One session on a GPU, in a few minutes: is every kernel right there, how fast are they, and how fast is PyTorch.

In this order, each part on disk before the next one starts:
  1. `vitro selftest` on every rung of the ladder of matrix products; a rung that is wrong is not timed
  2. GEMM TFLOP/s at ViT-B's shapes (and one large one) on each rung in fp16 and bf16, beside cuBLAS (torch.matmul);
     above 620 TFLOP/s a product of a whole workgroup must use Hopper's warpgroup instructions
  3. ViT-Ti/S/B/L: inference, LoRA, VPT-deep and full fine-tuning, images/s and peak memory at batch 64, beside timm
     (+ peft) in eager mode and under torch.compile, bf16 everywhere

Needs a release build and a python3 with torch, timm and peft. To another machine, carry what
`tests/bench/gpu_carry.sh FOLDER` collects, and give that folder as --build. --driver names the manifest of the
Vulkan driver if the loader does not find it. --dry-run goes through every line with tiny shapes on a CPU, where
its numbers mean nothing.

usage: python3 tests/bench/gpu_session.py [--build build/release] [--out gpu_session.json] [--minutes 8] [--dry-run]
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RUNGS = ("workgroup", "subgroup", "packed", "tiled")
MODELS = {"tiny": (192, 3, 12), "small": (384, 6, 12), "base": (768, 12, 12), "large": (1024, 16, 24)}
ITEMS = {"inference": "none", "lora": "lora[r=8,alpha=8,dropout=0]", "vpt": "vpt[prompts=10,dropout=0]", "full": "full"}
TOKENS = 64 * 197
GEMMS = [f"{TOKENS}x{n}x{k}" for n, k in ((2304, 768), (768, 768), (3072, 768), (768, 3072))] + ["8192x8192x8192"]
WARPGROUP = 620  # TFLOP/s: what products of single warps reach on Hopper at most


class Session:
    def __init__(self, args):
        self.args, self.start = args, time.time()
        self.result = {"dry_run": args.dry_run, "correct": {}, "gemm": [], "vit": [], "failed": []}
        self.environment = dict(os.environ, VITRO_PLUGIN_PATH=str(args.build / "plugins"))
        if (args.build / "lib").is_dir():
            self.environment["LD_LIBRARY_PATH"] = str(args.build / "lib")
        if args.driver:
            self.environment["VITRO_VULKAN_DRIVER"] = str(args.driver)
        launcher = ROOT / "build/vulkan/bin/with-vk"
        self.launcher = [str(launcher)] if args.dry_run and launcher.exists() else []

    def left(self):
        return self.args.minutes * 60 - (time.time() - self.start)

    def keep(self):
        self.args.out.write_text(json.dumps(self.result, indent=1) + "\n")

    def call(self, command, environment=None, what="", timeout=None):
        """Its standard output; None, noted, where it fails or takes too long."""
        try:
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment,
                                  timeout=timeout or max(30, self.left()))
        except subprocess.TimeoutExpired:
            self.result["failed"].append({"what": what, "why": "took too long"})
            return None
        if done.returncode == 0:
            return done.stdout
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        self.result["failed"].append({"what": what, "why": lines[-1][:300]})
        return None

    def ours(self, program, *arguments, rung=None):
        environment = dict(self.environment, **({"VITRO_LADDER": rung} if rung else {}))
        return self.call(self.launcher + [self.args.build / "bin" / program, *arguments], environment,
                         f"{program} {' '.join(map(str, arguments))} {rung or ''}")

    def torch(self, *arguments, timeout=None):
        if self.args.no_torch:
            return None
        device = ["--device", "cpu", "--runs", "2"] if self.args.dry_run else []
        text = self.call([sys.executable, HERE / "torch_gpu.py", *arguments, *device], None,
                         f"torch {' '.join(map(str, arguments))}", timeout)
        return json.loads(text.splitlines()[-1]) if text else None


def correctness(s):
    """Rungs whose kernels are all right here."""
    right = []
    for rung in RUNGS:
        text = s.ours("vitro", "selftest", *s.args.selftest, rung=rung)
        s.result["correct"][rung] = text.strip().splitlines()[-1] if text else s.result["failed"][-1]["why"]
        print(f"selftest, {rung:10} {s.result['correct'][rung]}", flush=True)
        if text:
            right.append(rung)
    s.keep()
    return right


def gemm(s, rungs):
    rows = {}
    numbers = ("fp16", "bf16")
    for number in numbers:
        for rung in rungs:
            text = s.ours("bench_gemm", number, *s.args.gemms, rung=rung)
            for shape, row in json.loads(text)["gemm"].items() if text else ():
                rows.setdefault((number, shape), {})[rung] = row["gflops_median"] * 1e-3
        for shape in s.args.gemms:
            peer = s.torch("gemm", "--shape", shape, "--number", number)
            rows.setdefault((number, shape), {})["torch"] = peer and peer["tflops"]
    s.result["copy"] = s.torch("copy")
    s.result["gemm"] = [dict(number=number, shape=shape, **row) for (number, shape), row in rows.items()]
    top = max([row.get("workgroup") or 0 for row in s.result["gemm"]], default=0)
    s.result["warpgroup_instructions"] = {"best_tflops": top, "threshold": WARPGROUP, "seen": top > WARPGROUP}
    s.keep()
    columns = list(rungs) + ["torch"]
    print(f"\nTFLOP/s{'':22}" + "".join(f"{c:>11}" for c in columns) + "   best / torch")
    for row in s.result["gemm"]:
        own = [row[r] for r in rungs if row.get(r)]
        ratio = f"{max(own) / row['torch']:.2f}" if own and row.get("torch") else "-"
        print(f"{row['number']} {row['shape']:24}" + "".join(f"{row.get(c) or 0:11.2f}" for c in columns) + f"{ratio:>15}")
    print(f"workgroup rung, best: {top:.1f} TFLOP/s; above {WARPGROUP}: {'yes' if top > WARPGROUP else 'no'}", flush=True)


def vit_arguments(s, model, item):
    out = ["vit", "--model", model, "--item", item, "--batch", s.args.batch, "--image", s.args.image]
    return out + (["--depth", s.args.depth] if s.args.depth else [])


def warm_compiler(s, cells):
    """Fills torch.compile's cache with several processes at a time: one after the other would take most of the
    session. Their timings are thrown away."""
    if s.args.no_torch or s.args.no_compile:
        return
    with concurrent.futures.ThreadPoolExecutor(s.args.compilers) as pool:
        list(pool.map(lambda cell: s.torch(*vit_arguments(s, *cell), "--compile", "--runs", 1), cells))


def vit(s):
    cells = [(model, item) for model in s.args.models for item in s.args.items]
    warm_compiler(s, cells)
    print(f"\n{'images/s, batch ' + str(s.args.batch):22}{'vitro':>9}{'eager':>9}{'compile':>9}"
          f"{'/eager':>8}{'/compile':>9}   MiB: vitro, eager, compile")
    for model, item in cells:
        if s.left() < 20:
            s.result["failed"].append({"what": f"vit {model} {item}", "why": "no time was left"})
            continue
        dim, heads, depth = MODELS[model]
        mine, eager, compiled = [], None, None
        for _ in range(s.args.rounds):
            text = s.ours("bench_vit", "--method", ITEMS[item], "--batch", s.args.batch, "--image", s.args.image, "--dim",
                          dim, "--heads", heads, "--depth", s.args.depth or depth, "--repeat", s.args.repeat,
                          "--precision", s.args.precision)
            mine += [json.loads(text.splitlines()[0])] if text else []
            eager = s.torch(*vit_arguments(s, model, item)) or eager
            if not s.args.no_compile:
                compiled = s.torch(*vit_arguments(s, model, item), "--compile") or compiled
        rate = statistics.median(m["images_per_second_median"] for m in mine) if mine else 0
        memory = max((m["device_mib"] for m in mine), default=0)
        row = {"model": model, "item": item, "vitro": rate, "vitro_mib": memory, "eager": eager, "compile": compiled}
        s.result["vit"].append(row)
        s.keep()
        peers = [p["images_per_s"] if p else 0 for p in (eager, compiled)]
        print(f"{model + ' ' + item:22}{rate:9.1f}" + "".join(f"{p:9.1f}" for p in peers)
              + "".join(f"{rate / p if p else 0:{w}.2f}" for p, w in zip(peers, (8, 9)))
              + f"   {memory:8.0f}" + "".join(f"{p['peak_mib'] if p else 0:8.0f}" for p in (eager, compiled)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("gpu_session.json"))
    parser.add_argument("--driver", type=pathlib.Path, help="manifest of the Vulkan driver")
    parser.add_argument("--minutes", type=float, default=8, help="of ViT cells, those that no longer fit are left out")
    parser.add_argument("--models", default="base,tiny,small,large")
    parser.add_argument("--items", default="lora,vpt,full,inference")
    parser.add_argument("--precision", default="bf16", choices=("fp32", "fp16", "bf16"))
    parser.add_argument("--rounds", type=int, default=1, help="turns that Vitro and PyTorch take at each cell")
    parser.add_argument("--compilers", type=int, default=4, help="processes that fill torch.compile's cache")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--dry-run", action="store_true", help="tiny shapes on a CPU")
    args = parser.parse_args()
    args.models, args.items = args.models.split(","), args.items.split(",")
    for name, value in (("gemms", GEMMS), ("batch", 64), ("image", 224), ("depth", 0), ("repeat", 20), ("selftest", [])):
        setattr(args, name, value)
    if args.dry_run:
        args.gemms, args.batch, args.image, args.depth, args.repeat = ["64x48x32", "128x128x64"], 2, 32, 1, 1
        args.selftest = ["--filter", "matmul nt 13"]
        args.models, args.compilers = args.models[:1], 1
    s = Session(args)
    text = s.ours("vitro", "devices")
    if not text:
        sys.exit(f"gpu_session: no device: {s.result['failed'][-1]['why']}")
    s.result["devices"] = text
    print(text)
    gemm(s, correctness(s))
    vit(s)
    s.result["seconds"] = time.time() - s.start
    s.keep()
    for f in s.result["failed"]:
        print(f"failed: {f['what']}: {f['why']}")
    print(f"{s.result['seconds']:.0f} s; everything is in {args.out}")


if __name__ == "__main__":
    main()

"""Vitro beside PyTorch on this machine's processor, in one run: GEMM, ViT inference and training steps.

The two take turns, round after round, so that both see the same disturbances; medians and best rounds are
printed with their ratio (above 1: Vitro is faster), and peak resident memory. Products stand beside numpy's BLAS, too.
Needs a release build, PyTorch and numpy; with --json FILE the numbers are kept.

usage: compare.py [--build build/release] [--rounds 5] [--model tiny] [--batch 8] [--image 224] [--threads 2]
                  [--items inference,...] [--json FILE]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODELS = {"tiny": (192, 3, 12), "small": (384, 6, 12), "base": (768, 12, 12)}  # width, heads, blocks
ITEMS = {"inference": "none", "lora_step": "lora[r=8,dropout=0]",
         "vpt_step": "vpt[prompts=10,mode=deep,dropout=0]", "full_step": "full", "linear_step": "linear"}


def last_json(command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"compare: {' '.join(map(str, command))} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def ours(args, name, *arguments):
    launcher = ROOT / "build/vulkan/bin/with-vk"
    command = [str(launcher)] if launcher.exists() and not args.no_launcher else []
    return last_json(command + [str(args.build / "bin" / name), *arguments])


def gemms(args):
    """A block's products, as MxNxK, and one as wide as it is deep."""
    width = MODELS[args.model][0]
    tokens = args.batch * ((args.image // 16) ** 2 + 1)
    shapes = [(768, 768), (3 * width, width), (width, width), (4 * width, width), (width, 4 * width)]
    return [f"{tokens}x{n}x{k}" for n, k in dict.fromkeys(shapes)]


def blas(args):
    return last_json([sys.executable, str(ROOT / "tests/bench/numpy_gemm.py"), str(args.threads), *gemms(args)])


def torch(args, item="", gemm=""):
    command = [sys.executable, str(ROOT / "tests/bench/torch_vit.py"), "--model", args.model, "--image", str(args.image), "--batch",
               str(args.batch), "--threads", str(args.threads), "--runs", "7", "--items", item, "--gemm", gemm]
    rows = last_json(command)["items"]
    for row in rows:
        if "failed" in row:
            sys.exit(f"compare: PyTorch's {row['item']} failed: {row['failed']}")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    for name, value in (("rounds", 5), ("batch", 8), ("image", 224), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--model", choices=MODELS, default="tiny")
    parser.add_argument("--json")
    parser.add_argument("--no-launcher", action="store_true", help="use the machine's own Vulkan driver")
    parser.add_argument("--items", default=",".join(ITEMS))
    args = parser.parse_args()
    unknown = [item for item in args.items.split(",") if item not in ITEMS]
    if unknown:
        parser.error(f"--items: there is no {unknown[0]}; there are {', '.join(ITEMS)}")
    rows = {}
    load = [os.getloadavg()[0]]

    def add(name, unit, mine, theirs, my_memory=None, their_memory=None, third=None):
        row = rows.setdefault(name, {"unit": unit, "vitro": [], "torch": [], "blas": [], "vitro_mib": 0,
                                     "torch_mib": 0})
        row["blas"] += [third] if third else []
        row["vitro"].append(mine)
        row["torch"].append(theirs)
        row["vitro_mib"] = max(row["vitro_mib"], my_memory or 0)
        row["torch_mib"] = max(row["torch_mib"], their_memory or 0)

    for _ in range(args.rounds):
        mine = ours(args, "bench_gemm", *gemms(args))
        theirs = torch(args, gemm=",".join(gemms(args)))
        third = blas(args)
        device = mine["device"]
        for shape, peer in zip(gemms(args), theirs):
            add(f"GEMM {shape}", "GFLOP/s", mine["gemm"][shape]["gflops_median"], peer["gflops"],
                third=third["gemm"][shape])
        width, heads, depth = map(str, MODELS[args.model])
        for item in args.items.split(","):
            mine = ours(args, "bench_vit", "--method", ITEMS[item], "--batch", str(args.batch), "--image",
                        str(args.image), "--dim", width, "--heads", heads, "--depth", depth, "--repeat", "7")
            peer = torch(args, item=item)[0]
            add(f"{args.model} {item}", "images/s", mine["images_per_second_median"], peer["images_per_s"],
                mine["peak_rss_mib"], peer["peak_rss_mib"])
    load.append(os.getloadavg()[0])

    print(f"{device}; {third['library']}; {args.threads} threads; load {load[0]:.1f} before, {load[1]:.1f} after; "
          f"{args.rounds} rounds")
    print(f"{'':22} {'unit':9} {'vitro':>8} {'torch':>8} {'ratio':>6} {'numpy':>8} {'ratio':>6}   "
          f"{'best of each':>26}   {'peak MiB':>12}")
    for name, row in rows.items():
        a, b = statistics.median(row["vitro"]), statistics.median(row["torch"])
        ratio = statistics.median(x / y for x, y in zip(row["vitro"], row["torch"]))
        other, best, memory = " " * 15, "", ""
        if row["blas"]:
            row["blas_ratio"] = statistics.median(x / y for x, y in zip(row["vitro"], row["blas"]))
            other = f"{statistics.median(row['blas']):8.1f} {row['blas_ratio']:6.2f}"
            best = f"{max(row['blas']):8.1f}"
        if row["vitro_mib"]:
            memory = f"{row['vitro_mib']:5.0f} {row['torch_mib']:6.0f}"
        print(f"{name:22} {row['unit']:9} {a:8.1f} {b:8.1f} {ratio:6.2f} {other}   {max(row['vitro']):8.1f} "
              f"{max(row['torch']):8.1f} {best:>8}   {memory:>12}".rstrip())
        row["ratio"] = ratio
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"device": device, "load": load, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()

"""One session on an NVIDIA GPU, in under ten minutes: is every kernel right there, and how fast are they beside
PyTorch.

In this order, each part within its own time, on disk before the next one starts; what fails or takes too long is
reported and the session goes on:
  1. `vitro selftest` on every rung of the ladder of matrix products; a rung that is wrong is not timed. Meanwhile
     torch.compile fills its cache.
  2. TFLOP/s of products at ViT-B's shapes (and one large one) on each rung in fp16 and bf16, beside cuBLAS
     (torch.matmul); more than 620 TFLOP/s by a whole workgroup's product would mean Hopper's warpgroup instructions
  3. ViT-B/Ti/S/L: inference, LoRA, VPT-deep and full fine-tuning, images/s and peak memory at batch 64, beside timm
     (+ peft) in eager mode and under torch.compile, bf16 everywhere
  4. in the time that is left, the first model's LoRA steps once more with kernels and workgroups that were timed here
     (`vitro tune`) instead of guessed

Needs a release build and a python3 with torch, timm and peft. To another machine carry tests/bench and what
`tests/bench/gpu_carry.sh FILE.tar.xz` collects, and give that file (or the folder it unpacks to) as --build. --dry-run
goes through every line with tiny shapes on a CPU, where its numbers mean nothing.

usage: python3 tests/bench/gpu_session.py [--build build/release] [--out gpu_session.json] [--minutes 9] [--dry-run]
"""
import argparse
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RUNGS = {"workgroup": "gemm_workgroup", "subgroup": "gemm_subgroup", "packed": "gemm_packed", "tiled": "gemm"}
NUMBERS = ("fp16", "bf16")
MODELS = {"base": (768, 12, 12), "tiny": (192, 3, 12), "small": (384, 6, 12), "large": (1024, 16, 24)}
ITEMS = {"lora": "lora[r=8,alpha=8,dropout=0]", "vpt": "vpt[prompts=10,dropout=0]", "full": "full", "inference": "none"}
TOKENS = 64 * 197
GEMMS = [f"{TOKENS}x{n}x{k}" for n, k in ((2304, 768), (768, 768), (3072, 768), (768, 3072))] + ["8192x8192x8192"]
WARPGROUP = 620  # TFLOP/s: what products of single warps reach on Hopper at most
SHARES = {"correct": 0.27, "compile": 0.35, "gemm": 0.13, "vit": 1.0, "tuned": 1.0}  # of the minutes; the last take what is left
DRIVERS = ("libGLX_nvidia.so.0", "libEGL_nvidia.so.0")  # both have NVIDIA's Vulkan
MANIFESTS = ("/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json",)  # where containers keep it, unknown to the loader


class Session:
    def __init__(self, args):
        self.args, self.start, self.part, self.end = args, time.time(), "", float("inf")
        self.result = {"dry_run": args.dry_run, "correct": {}, "gemm": [], "vit": [], "failed": [], "seconds": {}}
        self.environment = dict(os.environ, VITRO_PLUGIN_PATH=str(args.build / "plugins"))
        if (args.build / "lib").is_dir():
            self.environment["LD_LIBRARY_PATH"] = str(args.build / "lib")
        launcher = ROOT / "build/vulkan/bin/with-vk"
        self.launcher = [str(launcher)] if args.dry_run and launcher.exists() else []

    def keep(self):
        self.args.out.write_text(json.dumps(self.result, indent=1) + "\n")

    def failed(self, what, why):
        beside = threading.current_thread() is not threading.main_thread()
        self.result["failed"].append({"part": "compile" if beside else self.part, "what": what, "why": why})

    def run(self, name, work, *rest):
        """One part within its share of the session; its result, or None where it fails."""
        begin, whole = time.time(), self.args.minutes * 60
        self.part, self.end = name, min(begin + SHARES[name] * whole, self.start + whole)
        try:
            return work(self, *rest)
        except Exception as e:  # a part that fails does not take the others with it
            self.failed(name, f"{type(e).__name__}: {e}")
        finally:
            self.result["seconds"][name] = round(time.time() - begin, 1)
            self.keep()

    def call(self, what, command, environment=None, end=None):
        """The lines of its output, those before it failed or ran out of time too, and whether it ended well."""
        seconds = (end or self.end) - time.time()
        if seconds < 2:
            self.failed(what, "no time was left")
            return [], False
        try:
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment,
                                  timeout=seconds)
        except subprocess.TimeoutExpired as e:
            self.failed(what, f"not done in {seconds:.0f} s")
            return (e.stdout or b"").decode().splitlines(), False
        except OSError as e:
            self.failed(what, str(e))
            return [], False
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            self.failed(what, said[-1][:300] if said else f"status {done.returncode}")
        return done.stdout.splitlines(), done.returncode == 0

    def ours(self, program, *arguments, rung=None):
        environment = dict(self.environment, **({"VITRO_LADDER": rung} if rung else {}))
        what = f"{program} {' '.join(map(str, arguments))} {rung or ''}".strip()
        return self.call(what, self.launcher + [self.args.build / "bin" / program, *arguments], environment)

    def ours_vit(self, model, item, *more):
        a, (dim, heads, depth) = self.args, MODELS[model]
        lines, well = self.ours("bench_vit", "--method", ITEMS[item], "--batch", a.batch, "--image", a.image, "--dim", dim,
                                "--heads", heads, "--depth", a.depth or depth, "--repeat", a.repeat, "--precision",
                                a.precision, *more)
        return json.loads(lines[0]) if well else {}

    def torch(self, *arguments, end=None):
        """Its rows, without those that only say why they failed."""
        if self.args.no_torch:
            return []
        device = ["--device", "cpu", "--runs", 2] if self.args.dry_run else []
        what = f"torch {' '.join(map(str, arguments))}"
        lines, _ = self.call(what, [sys.executable, HERE / "torch_gpu.py", *arguments, *device], end=end)
        rows = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        for row in rows:
            if "failed" in row:
                self.failed(f"{what}: {row.get('item', '')}", row["failed"])
        return [row for row in rows if "failed" not in row]

    def torch_vit(self, model, items, compiled, runs=None, end=None):
        a = self.args
        more = (["--compile"] if compiled else []) + (["--runs", runs] if runs else [])
        more += ["--depth", a.depth] if a.depth else []
        return self.torch("vit", "--model", model, "--items", ",".join(items), "--batch", a.batch, "--image", a.image,
                          *more, end=end)


def find_driver(s):
    """Finds the device; where no manifest leads the loader to NVIDIA's driver, writes one."""
    tries = [s.args.driver]
    if not s.args.driver and not s.args.dry_run:
        tries += [m for m in MANIFESTS if os.path.exists(m)]
        for name in DRIVERS:
            try:
                ctypes.CDLL(name)
            except OSError:
                continue
            manifest = pathlib.Path(tempfile.mkdtemp(prefix="vitro-driver-")) / "icd.json"
            manifest.write_text(json.dumps({"file_format_version": "1.0.1",
                                            "ICD": {"library_path": name, "api_version": "1.3.0"}}))
            tries.append(manifest)
    for manifest in tries:
        if manifest:
            s.environment["VITRO_VULKAN_DRIVER"] = str(manifest)
        lines, well = s.call("vitro devices", s.launcher + [s.args.build / "bin/vitro", "devices"], s.environment,
                             time.time() + 60)
        if well and (s.args.dry_run or any(word in line for line in lines for word in ("NVIDIA", "discrete"))):
            s.result["failed"].clear()
            s.result["devices"] = lines
            return print("\n".join(lines), flush=True)
    s.keep()
    why = s.result["failed"][-1]["why"] if s.result["failed"] else "the loader finds no GPU"
    sys.exit(f"gpu_session: no device to measure: {why}; name the manifest of its Vulkan driver with --driver")


def correctness(s):
    """Rungs whose kernels are all right here."""
    right = []
    for rung in RUNGS:
        lines, well = s.ours("vitro", "selftest", "--repeats", 0, *s.args.selftest, rung=rung)
        said = [line for line in lines if " of " in line and line.endswith("passed")]
        wrong = [line for line in lines if "FAILED" in line]
        s.result["correct"][rung] = {"right": well, "summary": said[-1] if said else "not done", "wrong": wrong}
        print(f"selftest, {rung:10} {s.result['correct'][rung]['summary']}", *wrong, sep="\n   ", flush=True)
        if well:
            right.append(rung)
        s.keep()
    return right


def compile_cache(s):
    """Fills torch.compile's cache, a process for each model and item: one after the other would take the session."""
    cells = [(model, item) for model in s.args.models for item in s.args.items]
    end, lock, seen = time.time() + SHARES["compile"] * s.args.minutes * 60, threading.Lock(), []

    def work():
        while True:
            with lock:
                if not cells:
                    return
                model, item = cells.pop(0)
            seen.extend(s.torch_vit(model, [item], True, runs=1, end=end))

    threads = [threading.Thread(target=work) for _ in range(s.args.compilers)]
    for t in threads:
        t.start()
    return threads, seen


def gemm(s, rungs):
    rows = {(number, shape): {} for number in NUMBERS for shape in s.args.gemms}
    for number in NUMBERS:
        for rung in rungs:
            lines, well = s.ours("bench_gemm", number, *s.args.gemms, rung=rung)
            for shape, row in json.loads("\n".join(lines))["gemm"].items() if well else ():
                # where a rung has no tile for it, the product is another one's
                if row["kernel"] == RUNGS[rung] or s.args.dry_run:
                    rows[number, shape][rung] = row["gflops_median"] * 1e-3
    for row in s.torch("gemm", "--shapes", ",".join(s.args.gemms), "--numbers", ",".join(NUMBERS)):
        rows[row["number"], row["shape"]]["torch"] = row["tflops"]
    s.result["copy"] = s.torch("copy")
    s.result["gemm"] = [dict(number=number, shape=shape, **row) for (number, shape), row in rows.items()]
    top = max([row.get("workgroup") or 0 for row in s.result["gemm"]], default=0)
    s.result["warpgroup_instructions"] = {"best_tflops": top, "threshold": WARPGROUP, "seen": top > WARPGROUP}
    columns = list(rungs) + ["torch"]
    print(f"\n{'TFLOP/s':29}" + "".join(f"{c:>11}" for c in columns) + "   best / torch")
    for row in s.result["gemm"]:
        own = [row[r] for r in rungs if row.get(r)]
        ratio = f"{max(own) / row['torch']:.2f}" if own and row.get("torch") else "-"
        print(f"{row['number']} {row['shape']:24}" + "".join(cell(row.get(c), 11, 2) for c in columns)
              + f"{ratio:>15}")
    print(f"workgroup rung, best: {top:.1f} TFLOP/s; above {WARPGROUP}: {'yes' if top > WARPGROUP else 'no'}",
          flush=True)


def cell(x, width, digits):
    return f"{x:{width}.{digits}f}" if x else f"{'-':>{width}}"


def vit(s):
    a = s.args
    print(f"\n{f'images/s, batch {a.batch}, {a.precision}':28}{'vitro':>9}{'eager':>9}{'compile':>9}{'/eager':>8}"
          f"{'/compile':>9}   MiB: vitro, eager, compile")
    for model in a.models:
        ours = {item: s.ours_vit(model, item) for item in a.items}
        eager = {row["item"]: row for row in s.torch_vit(model, a.items, False)}
        compiled = {} if a.no_compile else {row["item"]: row for row in s.torch_vit(model, a.items, True)}
        for item in a.items:
            mine, e, c = ours.get(item, {}), eager.get(item, {}), compiled.get(item, {})
            s.result["vit"].append({"model": model, "item": item, "vitro": mine, "eager": e, "compile": c})
            rate, peers = mine.get("images_per_second_median"), [e.get("images_per_s"), c.get("images_per_s")]
            print(f"{model + ' ' + item:28}" + "".join(cell(x, 9, 1) for x in (rate, *peers))
                  + "".join(cell(rate / p if rate and p else None, w, 2) for p, w in zip(peers, (8, 9))) + "   "
                  + "".join(cell(x, 9, 0) for x in (mine.get("device_mib"), e.get("peak_mib"), c.get("peak_mib"))),
                  flush=True)
        s.keep()


def tuned(s):
    model, item = s.args.models[0], s.args.items[0]
    with tempfile.TemporaryDirectory(prefix="vitro-tuning-") as folder:
        path = pathlib.Path(folder) / "tuning.json"
        row = s.ours_vit(model, item, "--tune", path)
        before = next((r["vitro"] for r in s.result["vit"] if (r["model"], r["item"]) == (model, item)), {})
        s.result["tuned"] = {"model": model, "item": item, "tuned": row, "untuned": before,
                             "kernels": json.loads(path.read_text())["products"] if path.exists() else {}}
    rates = [r.get("images_per_second_median") for r in (before, row)]
    if all(rates):
        print(f"\n{model} {item}: {rates[0]:.1f} images/s untuned, {rates[1]:.1f} tuned, which took "
              f"{row['tune_seconds']:.0f} s", flush=True)


def settings():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("gpu_session.json"))
    parser.add_argument("--driver", type=pathlib.Path, help="manifest of the Vulkan driver")
    parser.add_argument("--minutes", type=float, help="for all of it (default: 9; 40 of a dry run)")
    parser.add_argument("--models", default=",".join(MODELS), help="in this order")
    parser.add_argument("--items", default=",".join(ITEMS))
    parser.add_argument("--precision", default="bf16", choices=("fp32", "fp16", "bf16"))
    parser.add_argument("--compilers", type=int, default=6, help="processes that fill torch.compile's cache")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--dry-run", action="store_true", help="tiny shapes on a CPU")
    args = parser.parse_args()
    args.models, args.items, args.build = args.models.split(","), args.items.split(","), args.build.resolve()
    if args.build.is_file():
        folder = pathlib.Path(tempfile.mkdtemp(prefix="vitro-build-"))
        with tarfile.open(args.build) as tar:
            tar.extractall(folder)
        args.build = folder
    shapes = {"gemms": GEMMS, "batch": 64, "image": 224, "depth": 0, "repeat": 20, "selftest": []}
    if args.dry_run:
        shapes = {"gemms": ["64x48x32", "128x128x64"], "batch": 2, "image": 32, "depth": 1, "repeat": 1,
                  "selftest": ["--filter", "matmul nt 13"]}
        args.models, args.compilers = [m for m in args.models if m == "tiny"], 1
    vars(args).update(shapes)
    args.minutes = args.minutes or (40 if args.dry_run else 9)
    return args


def main():
    s = Session(settings())
    find_driver(s)
    compiling = None if s.args.no_torch or s.args.no_compile else s.run("compile", compile_cache)
    rungs = s.run("correct", correctness) or []
    if compiling:
        threads, seen = compiling
        for t in threads:
            t.join()
        s.result["compile_cache"] = seen
        print(f"torch.compile has {len(seen)} of {len(s.args.models) * len(s.args.items)} models ready", flush=True)
    s.run("gemm", gemm, rungs)
    s.run("vit", vit)
    s.run("tuned", tuned)
    s.result["seconds"]["all"] = round(time.time() - s.start, 1)
    s.keep()
    for f in s.result["failed"]:
        print(f"failed ({f['part']}): {f['what']}: {f['why']}")
    print(f"{s.result['seconds']['all']:.0f} s; everything is in {s.args.out}")


if __name__ == "__main__":
    main()

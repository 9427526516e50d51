"""Trains every shipped method on a data set through the `vitro` program and prints one aligned table: trainable
parameters, loss of the first and of the last epoch, test accuracy and what it has over the linear probe, seconds a
step relative to LoRA.

Steps are timed apart from the trainings, by bench_vit: the methods take turns, round after round, so that all see
the same disturbances, and each is compared with the LoRA of its own round; the median is printed. A method that does
not learn (its loss does not fall, or it is below the linear probe) is named under the table, and the exit status is 1.

What is measured is kept in --json FILE as it comes; the same command goes on where it was.

usage: train_methods.py --model vit_tiny.safetensors --data eurosat.pack [--image 96] [--epochs 5] [--batch 32]
                        [--rounds 5] [--build build/release] [--launcher COMMAND] [--json FILE] [METHOD...]
"""
import argparse
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LORA, PROBE = "lora", "linear"
# The study tries 1e-3 and 1e-2 and keeps what is better on val. In few epochs 1e-2 is, by 4 to 14 points on
# EuroSAT, for what trains vectors or few numbers (vera, arc, layernorm, lokr, boft, ssf, gps) or starts from small
# ones (adalora); so it is for their like.
RATE = 1e-3
RATES = {"full": 1e-4, **dict.fromkeys(["linear", "vpt", "vqt", "bitfit", "layernorm", "difffit", "ssf", "ia3", "vera",
                                        "arc", "lokr", "boft", "adalora", "gps"], 1e-2)}
# Beside every plugin with its defaults: forms that are methods of their own.
VARIANTS = ["vpt[mode=shallow]", "vpt[mode=first_block]"]


class Failed(Exception):
    pass


def call(args, program, *arguments):
    command = shlex.split(args.launcher) + [str(args.build / "bin" / program), *map(str, arguments)]
    environment = dict(os.environ, VITRO_PLUGIN_PATH=str(args.build / "plugins"))
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise Failed((done.stderr or done.stdout).strip().splitlines()[-1:] or [f"{program}: status {done.returncode}"])
    return done


def plugin_of(method):
    return re.split(r"[\[+]", method)[0]


def shipped(args):
    plugins = json.loads(call(args, "vitro", "plugins", "--json").stdout)["plugins"]
    names = [p["id"] for p in plugins if "id" in p and "refused" not in p]
    first = [name for name in (PROBE, LORA) if name in names]
    return first + [name for name in names if name not in first] + VARIANTS


def train(args, method):
    rate = RATES.get(plugin_of(method), RATE)
    done = call(args, "vitro", "train", "--data", args.data, "--model", args.model, "--image", args.image,
                "--method", method, "--epochs", args.epochs, "--warmup", 1, "--schedule", "plain", "--batch", args.batch,
                "--lr", rate, "--drop-path", 0, "--seed", args.seed, "--split", "trainval",
                "--final", "--again", "a benchmark", "--store", args.store, "--verbose", "--json")
    result = json.loads(done.stdout)
    losses = [float(x) for x in re.findall(r"^vitro: epoch \d+ of \d+: loss ([0-9.]+)", done.stderr, re.M)]
    return {"lr": rate, "parameters": result["parameters"], "losses": losses, "last": result["loss"],
            "accuracy": result["accuracy"], "seconds": result["seconds"], "steps": result["steps"],
            "method": result["method"]}


def seconds_a_step(args, method):
    done = call(args, "bench_vit", "--method", method, "--image", args.image, "--batch", args.batch, "--repeat", 5)
    return args.batch / json.loads(done.stdout)["images_per_second_median"]


def measured(store, path, kind, method, work):
    """The kept result of `work`, or a new one; None where it failed, with the reason on stderr."""
    rows = store.setdefault(kind, {})
    if method not in rows:
        try:
            start = time.monotonic()
            rows[method] = work()
            print(f"{kind} {method}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        except Failed as why:
            print(f"{kind} {method} failed: {' '.join(why.args[0])}", file=sys.stderr, flush=True)
            return None
        if path:
            path.write_text(json.dumps(store, indent=1))
    return rows[method]


def relative_steps(args, store, path, methods):
    """Median over rounds of a method's seconds a step over LoRA's of the same round."""
    ratios = {}
    for i in range(args.rounds):
        order = [LORA] + [m for m in methods if m != LORA]
        for method in order:
            seconds = measured(store, path, f"round {i + 1}", method, lambda m=method: seconds_a_step(args, m))
            base = store.get(f"round {i + 1}", {}).get(LORA)
            if seconds and base:
                ratios.setdefault(method, []).append(seconds / base)
    return {method: statistics.median(found) for method, found in ratios.items()}


def table(rows, ratios):
    """Prints it; gives back what has to be looked into."""
    width = max(map(len, rows))
    probe = rows.get(PROBE, {}).get("accuracy")
    bad = []
    print(f"{'method':{width}} {'parameters':>10} {'rate':>7} {'loss first':>10} {'last':>7} {'accuracy':>8} "
          f"{'over probe':>10} {'step / LoRA':>11}")
    for method, row in rows.items():
        first, last = row["losses"][0], row["last"]
        over = None if probe is None else row["accuracy"] - probe
        print(f"{method:{width}} {row['parameters']:10,} {row['lr']:7.0e} {first:10.4f} {last:7.4f} "
              f"{100 * row['accuracy']:7.1f}% {'' if over is None else f'{100 * over:+.1f}':>10} "
              f"{f'{ratios[method]:.2f}' if method in ratios else '-':>11}")
        if not last < first:
            bad.append(f"{method}: the loss does not fall")
        elif over is not None and over < 0:
            bad.append(f"{method}: below the linear probe")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("methods", nargs="*", help="what to train; else every plugin and its variants")
    parser.add_argument("--model", required=True, help="weights, a safetensors file with timm's names")
    parser.add_argument("--data", required=True, help="a pack, or whatever `vitro train` takes")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    launcher = ROOT / "build/vulkan/bin/with-vk"
    parser.add_argument("--launcher", default=str(launcher) if launcher.exists() else "",
                        help="a command that runs the programs, as for another Vulkan driver")
    for name, value in (("image", 96), ("epochs", 5), ("batch", 32), ("rounds", 5), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--store", default="vitro-store", help="whose ledger keeps that the test split was opened")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    store = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    methods = args.methods or shipped(args)
    rows = {m: measured(store, args.json, "training", m, lambda m=m: train(args, m)) for m in methods}
    rows = {m: row for m, row in rows.items() if row}
    ratios = relative_steps(args, store, args.json, list(rows)) if rows and args.rounds else {}
    bad = table(rows, ratios) if rows else []
    bad += [f"{m}: it was not trained" for m in methods if m not in rows]
    print("\n".join(["", *bad]) if bad else "", end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

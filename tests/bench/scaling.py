"""How a step's cost grows with the batch, the tokens and the depth: one network, one of the three changed at a time.

Each row is one run of bench_vit; the settings take turns over the rounds. `per unit` is the step's time divided by images x
blocks x a token's arithmetic (products and attention), relative to the first row of its table: 1.00 all the way is a
straight line, and a jump is a cliff. What a step costs once (patches, head, optimizer, dispatches) makes the first rows of a
table dear, so it should fall. Depth is the exception: the last block computes the class token alone, so a network of one
block is cheap.

usage: scaling.py [--build build/release] [--methods "none,lora[r=8]"] [--rounds 3] [--json FILE]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DIM, HEADS, PATCH = 192, 3, 16
USUAL = {"batch": 8, "image": 224, "depth": 12}
VALUES = {"batch": (1, 2, 4, 8, 16, 32), "image": (64, 96, 160, 224, 288, 384), "depth": (1, 2, 4, 8, 12, 24)}


def tokens(image):
    return (image // PATCH) ** 2 + 1


def arithmetic(setting):
    """Multiplications of one forward pass through the blocks: 12 DIM^2 a token in products, 2 DIM T in attention."""
    t = tokens(setting["image"])
    return setting["batch"] * setting["depth"] * t * (12 * DIM * DIM + 2 * DIM * t)


def measure(args, method, setting):
    command = [*([] if args.no_launcher else [str(ROOT / "build/vulkan/bin/with-vk")]), str(args.build / "bin/bench_vit"),
               "--method", method, "--dim", str(DIM), "--heads", str(HEADS), "--patch", str(PATCH), "--repeat", "5"]
    for name, value in setting.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"scaling: {' '.join(command)} failed with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--methods", default="none,lora[r=8]", help="of bench_vit; `none` is inference")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-launcher", action="store_true", help="use the machine's own Vulkan driver")
    parser.add_argument("--json")
    args = parser.parse_args()
    seen = {}
    for _ in range(args.rounds):
        for method in args.methods.split(","):
            for name, values in VALUES.items():
                for value in values:
                    run = measure(args, method, {**USUAL, name: value})
                    row = seen.setdefault(method, {}).setdefault(name, {}).setdefault(value, {"ms": [], "mib": 0})
                    setting = {**USUAL, name: value}
                    row["ms"].append(1e3 * setting["batch"] / run["images_per_second_median"])
                    row["mib"] = max(row["mib"], run["device_mib"])
                    device = run["device"]
    print(f"{device}; width {DIM}, patches of {PATCH}; usually {USUAL}; load {os.getloadavg()[0]:.1f}; "
          f"medians of {args.rounds} rounds")
    for method, tables in seen.items():
        for name, rows in tables.items():
            print(f"\n{method:12} {name:>6} {'tokens':>7} {'ms a step':>10} {'images/s':>9} {'device MiB':>11} {'per unit':>9}")
            base = None
            for value, row in rows.items():
                setting = {**USUAL, name: value}
                ms = statistics.median(row["ms"])
                unit = ms / arithmetic(setting)
                base = base or unit
                row["per_unit"] = unit / base
                print(f"{'':12} {value:6} {tokens(setting['image']):7} {ms:10.1f} {1e3 * setting['batch'] / ms:9.1f} "
                      f"{row['mib']:11.0f} {unit / base:9.2f}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"device": device, "seen": seen}, indent=1) + "\n")


if __name__ == "__main__":
    main()

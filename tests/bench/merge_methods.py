"""Trains every method that can be folded into the weights, merges it with `vitro merge`, and prints for each how far the
merge moved a logit and how many labels it flipped, as the merge itself measures it.

The training is short and only there to take the method away from where it starts: --train-data is a small pack of
the same classes, --data the images that the merge is measured on (validation, then training).

usage: merge_methods.py --model vit_tiny.safetensors --train-data small.pack --data full.pack [--images 1000]
                        [--epochs 1] [--batch 32] [--lr 1e-2] [--json FILE] [METHOD...]
"""
import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ANY = 1000  # a tolerance that lets every change of a logit pass, so that it is reported
RATES = {"full": 1e-3, "selective": 1e-3, "pissa": 1e-3}  # where 1e-2 diverges
# Beside every plugin with its defaults
VARIANTS = ["lora[targets=all]", "lora[targets=q_k_v]", "pissa[targets=all]", "loha[target=qv]", "lokr[target=q_k_v]",
            "oft[cayley=exact]"]
REFUSED = re.compile(r"change a logit by (\S+) .* flip (\d+) of (\d+) labels")


def call(args, *arguments):
    command = shlex.split(args.launcher) + [str(args.build / "bin/vitro"), *map(str, arguments)]
    environment = dict(os.environ, VITRO_PLUGIN_PATH=str(args.build / "plugins"))
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def mergeable(args):
    plugins = json.loads(call(args, "plugins", "--json").stdout)["plugins"]
    names = [p["id"] for p in plugins if "id" in p and "refused" not in p]
    return [n for n in names if json.loads(call(args, "plugins", n, "--json").stdout)["merges"]] + VARIANTS


def measure(args, method, folder):
    """What `vitro merge` says of a method just trained: its JSON, or what it refused for."""
    trained, merged = folder / "trained.safetensors", folder / "merged.safetensors"
    rate = RATES.get(re.split(r"\[", method)[0], args.lr)
    done = call(args, "train", "--model", args.model, "--data", args.train_data, "--method", method, "--epochs",
                args.epochs, "--warmup", 0, "--schedule", "plain", "--batch", args.batch, "--lr", rate, "--split",
                "trainval", "--drop-path", 0, "--save", trained, "--json")
    if done.returncode:
        return {"method": method, "failed": done.stderr.strip().splitlines()[-1]}
    row = {"method": method, "loss": json.loads(done.stdout)["loss"], "steps": json.loads(done.stdout)["steps"]}
    done = call(args, "merge", trained, "--data", args.data, "--other-data", "--images", args.images, "--tolerance", ANY,
                "--output", merged, "--batch", args.batch, "--json")
    refusal = REFUSED.search(done.stderr)
    if done.returncode == 0:
        said = json.loads(done.stdout)
        row.update({key: said[key] for key in ("largest_logit", "largest_change", "flipped", "images")})
    elif refusal:
        row.update(largest_change=float(refusal[1]), flipped=int(refusal[2]), images=int(refusal[3]))
    else:
        row["failed"] = done.stderr.strip().splitlines()[-1]
    return row


def print_row(row):
    if "failed" in row:
        print(f"| {row['method']} | {row['failed']} |")
    else:
        print(f"| {row['method']} | {row['loss']:.2f} | {row.get('largest_logit', float('nan')):.1f} | "
              f"{row['largest_change']:.1e} | {row['flipped']} of {row['images']} |")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("methods", nargs="*", help="what to merge; else every method that can be, and some of its forms")
    for name in ("model", "train-data", "data"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    launcher = ROOT / "build/vulkan/bin/with-vk"
    parser.add_argument("--launcher", default=str(launcher) if launcher.exists() else "",
                        help="a command that runs the program, as for another Vulkan driver")
    for name, value in (("images", 1000), ("epochs", 1), ("batch", 32)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--json", type=pathlib.Path, help="rows are kept here as they come; the same command goes on")
    args = parser.parse_args()
    rows = json.loads(args.json.read_text()) if args.json and args.json.exists() else []
    print("| method | loss after training | largest logit | largest change | labels flipped |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for method in args.methods or mergeable(args):
            row = next((r for r in rows if r["method"] == method and "failed" not in r), None)
            if not row:
                row = measure(args, method, pathlib.Path(folder))
                rows = [r for r in rows if r["method"] != method] + [row]
                if args.json:
                    args.json.write_text(json.dumps(rows, indent=1))
            print_row(row)
    return any(r.get("flipped", 1) or "failed" in r for r in rows)


if __name__ == "__main__":
    sys.exit(main())

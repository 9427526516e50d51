"""A whole study beside the same trials in PyTorch: how long does a fair comparison take?

The study is fixed: linear, LoRA and full fine-tuning of a ViT-Ti on EuroSAT at 96 px; two tuning trials each (train,
judge val), one refit on train + val, one judgement of test; 3 epochs of batch 64 without warm-up. `vitro study run
--final` does it with its worker processes, checkpoints, stored logits and ledger; PyTorch does the same trainings and
judgements one after the other in one process, keeps nothing, and is given the images decoded. The two take turns.

usage: compare_study.py MODEL.safetensors EUROSAT [--program "COMMAND OF VITRO"] [--rounds 1] [--epochs 3] [--json FILE]
EUROSAT: a folder with train800.txt, val200.txt, test.txt and the images they name.
"""
import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
METHODS = {"linear": "linear", "lora": "lora[r=8,dropout=0]", "full": "full"}
RATES = {"linear": (1e-2, 3e-3), "lora": (1e-3, 3e-4), "full": (1e-4, 3e-5)}
EPOCHS, BATCH = 3, 64


def recipe(args):
    return {"schema": "vitro.recipe/1", "name": "bench", "backbones": [{"name": "tiny", "model": args.model}],
            "packs": [{"name": "eurosat", "data": args.data, "normalise": "half", "image": 96}],
            "methods": [{"name": name, "method": text, "search": {"lr": list(RATES[name]), "decay": [1e-4]}}
                        for name, text in METHODS.items()],
            "tune": {"strategy": "grid", "trials": 2}, "seeds": [0],
            "training": {"epochs": args.epochs, "warmup": 0, "batch": BATCH, "schedule": "plain", "drop_last": True}}


def ours(args):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "recipe.json"
        path.write_text(json.dumps(recipe(args)))
        command = [*shlex.split(args.program), "study", "run", str(path), "-S", folder + "/store", "--final"]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"compare_study: {shlex.join(command)} failed:\n{done.stderr}")
        results = [json.loads(p.read_text()) for p in pathlib.Path(folder).glob("store/results/*/*/result.json")]
        tests = {r["spec"]["name"]: r["accuracy"] for r in results if r["spec"]["stage"] == "final"}
    return seconds, tests


def peer(args):
    sys.path.insert(0, str(ROOT / "tests/reference"))
    import torch

    import eurosat_lora as reference
    torch.set_num_threads(args.threads)
    reference.EPOCHS, reference.WARMUP, reference.BATCH = args.epochs, 0, BATCH
    splits = {name: reference.load_images(args.data, f"{name}.txt") for name in ("train800", "val200", "test")}
    classes = int(splits["train800"][1].max()) + 1
    both = tuple(torch.cat([splits["train800"][i], splits["val200"][i]]) for i in (0, 1))
    start = time.perf_counter()
    tests = {}

    def trial(kind, lr, data, judged):
        per_epoch = len(data[1]) // BATCH
        rates = [reference.rate(epoch, lr, "plain") for epoch in range(args.epochs) for _ in range(per_epoch)]
        order = reference.batches(len(data[1]), len(rates), 0)
        model, method = reference.build(args.model, kind, classes, 0, torch.float32)
        reference.train(model, method, reference.normalise(data[0], torch.float32), data[1], order, rates)
        return reference.accuracy(model, method, reference.normalise(judged[0], torch.float32), judged[1])[1] / 100

    for kind in METHODS:
        best = max(RATES[kind], key=lambda lr: trial(kind, lr, splits["train800"], splits["val200"]))
        tests[kind] = trial(kind, best, both, splits["test"])
    return time.perf_counter() - start, tests


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--program", default=str(ROOT / "scripts/vitro"))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json")
    args = parser.parse_args()
    args.model, args.data = os.path.abspath(args.model), os.path.abspath(args.data)
    load, rows = os.getloadavg()[0], []
    for _ in range(args.rounds):
        (mine, my_tests), (theirs, their_tests) = ours(args), peer(args)
        rows.append({"vitro_s": mine, "torch_s": theirs, "vitro_test": my_tests, "torch_test": their_tests})
        print(f"vitro {mine:.1f} s, torch {theirs:.1f} s, ratio {theirs / mine:.2f}; test accuracy "
              + ", ".join(f"{k} {100 * my_tests[k]:.1f} / {100 * their_tests[k]:.1f} %" for k in METHODS), flush=True)
    ratio = statistics.median(r["torch_s"] / r["vitro_s"] for r in rows)
    print(f"median ratio {ratio:.2f} (above 1: Vitro is faster); load {load:.1f} before, {os.getloadavg()[0]:.1f} after")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"rounds": rows, "ratio": ratio}, indent=1))


if __name__ == "__main__":
    main()

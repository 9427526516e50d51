"""Runs commands that print JSON in turns, and compares their numbers: two drivers, two builds, two settings.

Every number of a command's JSON object (nested ones by a path of names) gets a row: the median of each command and
the median over the rounds of its ratio to the first command's number in the same round.

usage: turns.py [--rounds 5] [--match REGEX] [--json FILE] NAME=COMMAND NAME=COMMAND...
    turns.py 'old=build/vulkan/bin/with-vk build/release/bin/bench_gemm 1576x192x768' \\
             'new=/tmp/newer/bin/with-vk build/release/bin/bench_gemm 1576x192x768'
"""
import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys


def numbers(tree, path=""):
    """{"a": {"b": 1}} as {"a b": 1.0}."""
    if isinstance(tree, dict):
        return {k: v for name, sub in tree.items() for k, v in numbers(sub, f"{path} {name}".strip()).items()}
    return {path: float(tree)} if isinstance(tree, (int, float)) else {}


def measure(command):
    words = shlex.split(command)
    settings = [w for w in words if re.fullmatch(r"[A-Z_0-9]+=.*", w)]
    environment = dict(os.environ, **dict(w.split("=", 1) for w in settings))
    done = subprocess.run(words[len(settings):], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"turns: {command} failed with {done.returncode}:\n{done.stderr}")
    return numbers(json.loads(done.stdout))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--match", default="per_|flops", help="show the numbers whose path matches")
    parser.add_argument("--json", help="keep every round's numbers in this file")
    parser.add_argument("commands", nargs="+", metavar="NAME=COMMAND")
    args = parser.parse_args()
    commands = dict(c.split("=", 1) for c in args.commands)
    rounds = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            rounds[name].append(measure(command))
    first = next(iter(commands))
    paths = [p for p in rounds[first][0] if re.search(args.match, p)]
    print(f"{args.rounds} rounds, load {os.getloadavg()[0]:.1f}; median, and its ratio to {first}'s")
    print(f"{'':44}" + "".join(f"{name:>20}" for name in commands))
    for path in paths:
        row = f"{path:44}"
        for name in commands:
            mine = [r[path] for r in rounds[name]]
            ratio = statistics.median(m / max(r[path], 1e-30) for m, r in zip(mine, rounds[first]))
            row += f"{statistics.median(mine):12.1f} {ratio:6.2f} "
        print(row)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"commands": commands, "rounds": rounds}, f, indent=1)


if __name__ == "__main__":
    main()

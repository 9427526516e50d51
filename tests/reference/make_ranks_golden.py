"""Makes golden/ranks.json: the per-task accuracies that a published study released, and how often who ranks where.

Accuracies are from the released results of "Lessons and Insights from a Unifying Study of PEFT in Visual
Recognition" (Mai et al., CVPR 2025, arXiv 2409.16434; github.com/OSU-MLB/ViT_PEFT_Vision): 16 methods on the 19
tasks of VTAB-1K, at the best and at the last epoch. The study shows its ranking frequencies (its Figure 2) as a
picture only, so the counts are another program's, from the same release, and not read off the paper. Two tables:
  TASKS.csv   method,task,last_epoch_acc,best_epoch_acc,...  (CIFAR-100 twice; the study ranks `cifar_aug_norm`)
  COUNTS.csv  metric,group,method,set,rank1..rank16,...      (ties share the better rank; set: all 16, or 14 PEFT)
This script copies numbers and computes none.
    python3 make_ranks_golden.py TASKS.csv COUNTS.csv [OUT]
"""
import csv
import json
import pathlib
import sys

GROUPS = dict(
    Natural="cifar_aug_norm caltech101 dtd oxford_flowers102 oxford_iiit_pet svhn sun397".split(),
    Specialized="patch_camelyon eurosat resisc45 diabetic_retinopathy".split(),
    Structured="clevr_count clevr_dist dmlab kitti dsprites_loc dsprites_ori smallnorb_azi smallnorb_ele".split())
METRICS = dict(avg_best_acc="best_epoch_acc", avg_acc="last_epoch_acc")


def main(tasks_csv, counts_csv, path):
    with open(tasks_csv) as f:
        cells = {(r["method"], r["task"]): r for r in csv.DictReader(f)}
    with open(counts_csv) as f:
        counts = list(csv.DictReader(f))
    methods = list(dict.fromkeys(method for method, _ in cells))
    tasks = sum(GROUPS.values(), [])
    document = dict(
        methods=methods, tasks=tasks,
        groups=[dict(name=name, tasks=[tasks.index(t) for t in GROUPS.get(name, tasks)])
                for name in (*GROUPS, "All19")],
        accuracy={metric: [[float(cells[m, t][column]) for m in methods] for t in tasks]
                  for metric, column in METRICS.items()},
        matrices=[])
    for metric in METRICS:
        for kept in ("all16", "peft14"):
            for group in document["groups"]:
                rows = [r for r in counts if (r["metric"], r["set"], r["group"]) == (metric, kept, group["name"])]
                document["matrices"].append(dict(
                    metric=metric, group=group["name"], methods=[methods.index(r["method"]) for r in rows],
                    frequency=[[int(r[f"rank{i + 1}"]) for i in range(len(rows))] for r in rows]))
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else
         pathlib.Path(__file__).parent / "golden" / "ranks.json")

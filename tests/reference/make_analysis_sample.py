"""An analysis document (docs/analysis.md) with invented numbers, for the tests of the report page.

    python3 make_analysis_sample.py                              tests/study/golden/analysis_sample.json
    python3 make_analysis_sample.py --methods 30 --packs 19 --seeds 3 OUT     other sizes, not kept
    python3 make_analysis_sample.py --sealed OUT                 no test split was opened yet

The numbers hang together only roughly: accuracies are drawn from a skill of the method and a difficulty of
the pack, and what follows from them is computed with normal approximations. Only the standard library's
random.random is used, which gives the same sequence with every version of Python.
"""
import argparse
import hashlib
import json
import math
import pathlib
import random

OUT = pathlib.Path(__file__).resolve().parents[1] / "study" / "golden" / "analysis_sample.json"

PACKS = [("caltech101", "natural", 102, .90), ("cifar100", "natural", 100, .66), ("dtd", "natural", 47, .71),
         ("flowers102", "natural", 102, .98), ("pets", "natural", 37, .90), ("svhn", "natural", 10, .86),
         ("sun397", "natural", 397, .54), ("camelyon", "specialised", 2, .85), ("eurosat", "specialised", 10, .95),
         ("resisc45", "specialised", 45, .85), ("retinopathy", "specialised", 5, .75),
         ("clevr_count", "structured", 8, .81), ("clevr_distance", "structured", 6, .64),
         ("dmlab", "structured", 6, .51), ("kitti", "structured", 4, .80), ("dsprites_location", "structured", 16, .80),
         ("dsprites_orientation", "structured", 16, .50), ("smallnorb_azimuth", "structured", 18, .32),
         ("smallnorb_elevation", "structured", 9, .41)]
SMALL = ["caltech101", "cifar100", "dtd", "eurosat", "retinopathy", "clevr_count"]
# name, text, parameters, skill
METHODS = [("linear", "linear", 0, -1.5), ("vpt", "vpt[prompts=10]", 92160, -.3), ("bitfit", "bitfit", 102912, .0),
           ("ssf", "ssf", 205056, .35), ("lora", "lora[r=8]", 294912, .42), ("adaptformer", "adaptformer[dim=64]", 1190016, .5),
           ("repadapter", "repadapter[dim=8]", 239616, .45), ("full", "full", 85798656, -.35),
           ("lorand", "lora[r=8]+bitfit", 397824, .4), ("fact_tk", "fact_tk", 69792, .3), ("dora", "dora[r=8]", 322560, .4),
           ("ia3", "ia3", 64512, -.05), ("adalora", "adalora", 442368, .2), ("vera", "vera", 24576, -.1),
           ("loha", "loha", 589824, .25), ("lokr", "lokr", 41472, .15), ("oft", "oft", 663552, .3), ("boft", "boft", 331776, .28),
           ("layernorm", "layernorm", 38400, -.15), ("difffit", "difffit", 141312, .1), ("houlsby", "houlsby[dim=8]", 318720, .45),
           ("pfeiffer", "pfeiffer[dim=8]", 159360, .4), ("convpass", "convpass[dim=8]", 327168, .55), ("fact_tt", "fact_tt", 40320, .28),
           ("pissa", "pissa[r=8]", 294912, .38), ("gps", "gps", 250000, .1), ("attention", "attention", 28311552, -.2),
           ("last_block", "last_block", 7087872, -.6), ("vpt_shallow", "vpt[shallow,prompts=50]", 38400, -.8), ("none_head", "linear[norm]", 0, -1.45)]


class Draw:
    def __init__(self, seed):
        self.random = random.Random(seed).random

    def normal(self, mean=0., deviation=1.):
        radius = math.sqrt(-2 * math.log(1 - self.random()))
        return mean + deviation * radius * math.cos(2 * math.pi * self.random())


def digits(value):
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 5 if abs(value) < 1 else 3)
    if isinstance(value, dict):
        return {key: digits(v) for key, v in value.items()}
    return [digits(v) for v in value] if isinstance(value, list) else value


def identity(*what):
    return hashlib.sha256(repr(what).encode()).hexdigest()


def phi(z):
    return .5 * (1 + math.erf(z / math.sqrt(2)))


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def holm(values):
    order, out, running = sorted(range(len(values)), key=lambda i: values[i]), [0.] * len(values), 0.
    for rank, i in enumerate(order):
        running = max(running, min(1., (len(values) - rank) * values[i]))
        out[i] = running
    return out


def expected_best(scores):
    scores, n = sorted(scores), len(scores)
    return [sum(s * (((i + 1) / n) ** k - (i / n) ** k) for i, s in enumerate(scores)) for k in range(1, n + 1)]


def logistic(x):
    return 1 / (1 + math.exp(-x))


class Sample:
    def __init__(self, o):
        self.o, self.draw = o, Draw(7)
        names = SMALL if o.packs == len(SMALL) else [p[0] for p in PACKS[:o.packs]]
        self.packs = [p for p in PACKS if p[0] in names]
        self.methods = METHODS[:o.methods]
        self.M, self.P, self.S = len(self.methods), len(self.packs), o.seeds
        self.test = [[300, 1000, 500, 800, 2000][p % 5] for p in range(self.P)]
        self.lost = {}  # (method, pack): (state, reason)
        if self.M > 3 and self.P > 2 and not o.sealed:
            self.lost = {(3, 2): ("diverged", "the loss became infinite in epoch 4 with every learning rate tried"),
                         (7, self.P - 1): ("failed", "out of device memory: 9.1 GB asked for, 8.0 GB there")}
        self.accuracy = [[self.one_cell(m, p) for p in range(self.P)] for m in range(self.M)]

    def level(self, m, p):
        base = self.packs[p][3]
        return logistic(math.log(base / (1 - base)) + .45 * self.methods[m][3] * (1.6 if self.packs[p][1] == "structured" else .8))

    def one_cell(self, m, p):
        centre = min(.99, max(.05, self.level(m, p) + self.draw.normal(0, .012)))
        spread = math.sqrt(centre * (1 - centre) / self.test[p])
        seeds = [min(.999, max(.01, centre + self.draw.normal(0, .6 * spread))) for _ in range(self.S)]
        if m == 4 and p == 1 and self.S > 2:
            seeds[-1] = None  # a method without one of its seeds
        return seeds

    def error(self, m, p):
        a = mean(self.accuracy[m][p])
        return math.sqrt(a * (1 - a) / self.test[p] * (.5 + .5 / self.S))

    def there(self, m, p):
        return not self.o.sealed and (m, p) not in self.lost

    def trials(self, m, p):
        out, rates = [], [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
        for k in range(self.o.trials):
            lr, decay = rates[k % 6], [0., .01, .1][k // 6 % 3]
            bad = (m, p) in self.lost or (k % 6 == 5 and self.draw.random() < .25)
            val = self.level(m, p) - .03 * (math.log10(lr) + 2.6) ** 2 + self.draw.normal(0, .01)
            out.append({"id": identity("trial", m, p, k), "method": self.methods[m][1], "lr": lr, "decay": decay, "epochs": 100,
                        "state": "diverged" if bad else "done", "reason": "the loss became infinite in epoch 4" if bad else "",
                        "val": float("nan") if bad else min(.999, max(.01, val)),
                        "nll": float("nan") if bad else -math.log(max(.02, val)) + .1,
                        "seconds": 40 + 30 * self.draw.random(), "chosen": False})
        done = [t for t in out if t["state"] == "done"]
        if done:
            max(done, key=lambda t: t["val"])["chosen"] = True
        return out

    def cell(self, m, p, trials):
        chosen = next((t for t in trials if t["chosen"]), None)
        cell = {"mean": None, "low": None, "high": None, "deviation": None, "seeds": [None] * self.S,
                "chosen": chosen["method"] if chosen else "", "lr": chosen["lr"] if chosen else None,
                "decay": chosen["decay"] if chosen else None, "edges": "", "ties": 1 if (m + p) % 7 == 3 else 0,
                "state": "missing", "reason": "the test split is sealed", "val": chosen["val"] if chosen else None}
        if chosen and chosen["lr"] in (1e-4, 3e-2):
            cell["edges"] = "lr at its " + ("lowest" if chosen["lr"] == 1e-4 else "highest")
        if (m, p) in self.lost:
            cell["state"], cell["reason"] = self.lost[m, p]
        elif self.there(m, p):
            seeds = self.accuracy[m][p]
            a, e = mean(seeds), self.error(m, p)
            known = [s for s in seeds if s is not None]
            cell.update(mean=a, low=max(0., a - 1.96 * e), high=min(1., a + 1.96 * e), seeds=seeds, state="done", reason="",
                        deviation=math.sqrt(sum((s - a) ** 2 for s in known) / (len(known) - 1)) if len(known) > 1 else 0.)
        return cell

    def ranking(self, packs):
        frequency, total = [[0] * self.M for _ in range(self.M)], [0.] * self.M
        for p in packs:
            order = sorted(range(self.M), key=lambda m: -(mean(self.accuracy[m][p]) if self.there(m, p) else -1))
            for rank, m in enumerate(order):
                frequency[m][rank] += 1
                total[m] += (rank + 1) / len(packs)
        return frequency, total

    def document(self):
        o, M, P, S = self.o, self.M, self.P, self.S
        names = []
        for _, group, _, _ in self.packs:
            if group not in names:
                names.append(group)
        inside = {g: [p for p in range(P) if self.packs[p][1] == g] for g in names}
        tuning = [[self.trials(m, p) for p in range(P)] for m in range(M)]
        cells = [[self.cell(m, p, tuning[m][p]) for p in range(P)] for m in range(M)]
        whole = [m for m in range(M) if all(cells[m][p]["mean"] is not None for p in range(P))]
        overall = [mean([cells[m][p]["mean"] for p in range(P)]) if m in whole else None for m in range(M)]
        spread = [math.sqrt(sum(self.error(m, p) ** 2 for p in range(P))) / P for m in range(M)]
        groups = [{"name": g, "packs": inside[g],
                   "means": [mean([cells[m][p]["mean"] for p in inside[g]])
                             if all(cells[m][p]["mean"] is not None for p in inside[g]) else None for m in range(M)]} for g in names]
        best = []
        for p in range(P):
            have = [m for m in range(M) if cells[m][p]["mean"] is not None]
            top = max(have, key=lambda m: cells[m][p]["mean"], default=None)
            best.append([m for m in have if cells[top][p]["mean"] - cells[m][p]["mean"] < 2.2 * self.error(m, p)])
        pairs = self.pairs(whole, overall, spread)
        first = max(whole, key=lambda m: overall[m], default=None)
        trials = sum(len(t) for row in tuning for t in row)
        diverged = sum(t["state"] == "diverged" for row in tuning for ts in row for t in ts)
        return {
            "schema": "vitro.analysis/1",
            "study": {"name": "vtab-sample", "recipe": identity("recipe"), "backbone": {"name": "vit_base_patch16_224.augreg_in21k",
                      "sha256": identity("backbone")}, "strategy": f"grid of {o.trials} trials a method", "refit": "trainval",
                      "vitro": "0.1.0", "created": "2025-03-14T09:26:53Z", "seeds": [str(s) for s in range(S)], "level": .95,
                      "replicates": 2000, "counts": {"trials": trials, "done": trials - diverged, "diverged": diverged, "failed": len(self.lost),
                                                     "missing": M * P * S if o.sealed else 0, "openings": 0 if o.sealed else M * P * S}},
            "badges": self.badges(), "flags": [] if o.sealed or M == 1 else
            ["lora on cifar100 was opened twice with seed 0: see the ledger."],
            "packs": [{"name": n, "task": n, "group": g, "fingerprint": identity(n), "classes": c, "image": 224,
                       "normalise": "mean 0.5 0.5 0.5, deviation 0.5 0.5 0.5", "train": 800, "val": 200, "test": self.test[p]}
                      for p, (n, g, c, _) in enumerate(self.packs)],
            "methods": [{"name": n, "text": t, "space": "lr 0.0001 .. 0.03 (6 values), decay 0, 0.01, 0.1", "space_size": 18 if m != 5 else None,
                         "budget": o.trials, "parameters": k, "parameters_head": 768 * 50 + 50, "parameters_range": [int(k * .8), int(k * 1.3)]}
                        for m, (n, t, k, _) in enumerate(self.methods)],
            "accuracy": {"cells": cells, "best": best, "groups": groups,
                         "overall": {"mean": overall, "low": [None if a is None else a - 1.96 * s for a, s in zip(overall, spread)],
                                     "high": [None if a is None else a + 1.96 * s for a, s in zip(overall, spread)],
                                     "mean_of_groups": [mean([g["means"][m] for g in groups]) if m in whole else None for m in range(M)],
                                     "best": [m for m in whole if overall[first] - overall[m] < 2.5 * spread[m]],
                                     "basis": f"Mean over {P} packs of {len(whole)} methods; {M - len(whole)} methods lack a pack and have no mean."}},
            "ranks": self.ranks(names, inside, whole, overall, spread),
            "pairs": pairs,
            "agreement": self.agreement(cells),
            "ensembles": self.ensembles(cells),
            "calibration": [[self.calibration(m, p) for p in range(P)] for m in range(M)],
            "tuning": [[{"trials": t, "expected_best": expected_best([x["val"] if x["state"] == "done" else 0. for x in t]),
                         "seconds": sum(x["seconds"] for x in t), "edges": "", "ties": 0, "near": len(t) // 4} for t in row] for row in tuning],
            "cost": [[self.cost(m, p, tuning[m][p]) for p in range(P)] for m in range(M)],
            "ledger": [] if o.sealed else [self.opening(m, p, s, again) for m in range(M) for p in range(P) for s in range(S)
                                           for again in ([False, True] if (m, p, s) == (4, 1, 0) else [False]) if self.there(m, p)],
            "results": [{"method": m, "pack": p, "seed": str(s),
                         "refit": identity("refit", m, p, s) if self.there(m, p) else "", "final": identity("final", m, p, s) if self.there(m, p) else "",
                         "state": cells[m][p]["state"], "reason": cells[m][p]["reason"]}
                        for m in range(M) for p in range(P) for s in range(S)]}

    def badges(self):
        again = not self.o.sealed and self.M > 4 and self.P > 1
        return [{"id": "sealed_test", "ok": True, "text": "No search saw the test split; it was opened for the final runs alone."},
                {"id": "equal_budget", "ok": True, "text": f"Every method had {self.o.trials} trials a pack."},
                {"id": "seeds", "ok": self.S >= 3, "text": f"Every final run has {self.S} seeds." if self.S >= 3 else
                 f"{self.S} seed: differences between seeds cannot be told from differences between methods."},
                {"id": "one_fingerprint", "ok": True, "text": "Each pack has one fingerprint for all methods."},
                {"id": "complete", "ok": not self.lost, "text": f"{len(self.lost)} of {self.M * self.P} cells have no result." if self.lost else "Every cell has a result."},
                {"id": "ledger", "ok": not again, "text": "One test split was opened twice." if again else "The ledger is unbroken."},
                {"id": "unedited", "ok": True, "text": "Every result's hash is that of its content."}]

    def pairs(self, whole, overall, spread):
        out = []
        for a in whole:
            for b in whole:
                if a < b:
                    d, e = overall[a] - overall[b], .7 * math.hypot(spread[a], spread[b])
                    out.append({"a": a, "b": b, "difference": d, "low": d - 1.96 * e, "high": d + 1.96 * e, "p": max(.001, 2 * phi(-abs(d) / e)),
                                "p_holm": 1., "improvement": phi(d / e), "mcnemar": [self.mcnemar(a, b, p) for p in range(self.P)]})
        for pair, p in zip(out, holm([x["p"] for x in out])):
            pair["p_holm"] = p
        for p in range(self.P):
            for pair, value in zip(out, holm([x["mcnemar"][p]["p"] for x in out])):
                pair["mcnemar"][p]["p_holm"] = value
        return out

    def mcnemar(self, a, b, p):
        differ = max(4, int(.14 * self.test[p]))
        gain = (mean(self.accuracy[a][p]) - mean(self.accuracy[b][p])) * self.test[p]
        first = int(min(differ, max(0, (differ + gain) / 2)))
        z = abs(2 * first - differ) / math.sqrt(differ)
        return {"b": first, "c": differ - first, "p": min(1., 2 * phi(-z)), "p_holm": 1., "seed": "0"}

    def ranks(self, names, inside, whole, overall, spread):
        rows = [("all", list(range(self.P)))] + [(g, inside[g]) for g in names if len(names) > 1]
        share = [[0.] * self.M for _ in range(self.M)]
        for _ in range(400):
            drawn = {m: self.draw.normal(overall[m], spread[m]) for m in whole}
            for rank, m in enumerate(sorted(whole, key=lambda m: -drawn[m])):
                share[m][rank] += 1 / 400
        if self.o.sealed:
            return {"groups": [], "bootstrap": [], "friedman": None}
        made = [(n, *self.ranking(ps)) for n, ps in rows]
        return {"groups": [{"name": n, "frequency": f, "mean_rank": r} for n, f, r in made], "bootstrap": share,
                "friedman": {"chi2": 31.7, "p": .00005} if self.M > 2 and self.P > 1 else None}

    def agreement(self, cells):
        if self.o.sealed:
            return {"packs": [], "mean": None, "summary": None}
        M, packs = self.M, []
        for p in range(self.P):
            a = [cells[m][p]["mean"] for m in range(M)]

            def matrix(f, diagonal):
                return [[None if a[i] is None or a[j] is None else diagonal(i) if i == j else f(min(i, j), max(i, j)) for j in range(M)] for i in range(M)]

            def chance(i, j):
                return a[i] * a[j] + (1 - a[i]) * (1 - a[j]) / max(1, self.packs[p][2] - 1)

            def near(i, j):
                return math.exp(-.5 * abs(self.methods[i][3] - self.methods[j][3]))

            same = [None if v is None else v + (1 - v) * .72 for v in a]
            packs.append({"pack": p,
                          "same_label": matrix(lambda i, j: chance(i, j) + (1 - chance(i, j)) * .6 * near(i, j), lambda i: 1.),
                          "kappa": matrix(lambda i, j: .25 + .55 * near(i, j), lambda i: 1.),
                          "error_consistency": matrix(lambda i, j: .15 + .5 * near(i, j), lambda i: 1.),
                          "confident_right": matrix(lambda i, j: .3 + .5 * near(i, j), lambda i: 1.),
                          "confident_wrong": matrix(lambda i, j: .2 + .4 * near(i, j), lambda i: 1.),
                          "independent_same_label": matrix(chance, lambda i: chance(i, i)),
                          "same_method": same, "same_method_kappa": [None if v is None else .84 for v in a],
                          "oracle": matrix(lambda i, j: max(a[i], a[j]) + (1 - max(a[i], a[j])) * (.5 - .3 * near(i, j)), lambda i: a[i])})
        average = {}
        for key, value in packs[0].items():
            if key != "pack":
                square = isinstance(value[0], list)
                average[key] = [[mean([q[key][i][j] for q in packs]) for j in range(M)] if square else mean([q[key][i] for q in packs]) for i in range(M)]

        def off(key):
            return mean([average[key][i][j] for i in range(M) for j in range(M) if i != j])
        return {"packs": packs, "mean": average, "summary": {"between": off("same_label"), "within": mean(average["same_method"]) if self.S > 1 else None,
                                                             "independent": off("independent_same_label")}}

    def ensembles(self, cells):
        if self.o.sealed or self.M < 2:
            return {"packs": [], "mean": [], "size_curve": []}
        packs, rules = [], ["logits", "probabilities", "vote"]
        plan = [("all", 0, .006), ("greedy", 0, .012), ("pair", 0, .008)] + [("seeds", k, .0015 * k) for k in range(2, self.S + 1)]
        for p in range(self.P):
            have = sorted((m for m in range(self.M) if cells[m][p]["mean"] is not None), key=lambda m: -cells[m][p]["mean"])
            top, chosen = have[0], have[min(len(have) - 1, p % 3)]
            value, e = cells[chosen][p]["mean"], self.error(chosen, p)
            rows = []
            for kind, size, lift in plan:
                for k, rule in enumerate(rules):
                    gain = lift - .002 * k + self.draw.normal(0, .006)
                    members = {"all": have, "greedy": have[:4], "seeds": [chosen], "pair": have[:2]}[kind]
                    rows.append({"kind": kind, "rule": rule, "members": members, "size": size or len(members), "accuracy": value + gain, "low": value + gain - 1.9 * e,
                                 "high": value + gain + 1.9 * e, "gain_over_val_single": gain, "gain_low": gain - .9 * e, "gain_high": gain + .9 * e})
            packs.append({"pack": p, "best_single": top, "best_single_accuracy": cells[top][p]["mean"], "val_single": chosen,
                          "val_single_accuracy": value, "worst_single_accuracy": cells[have[-1]][p]["mean"],
                          "mean_single_accuracy": mean([cells[m][p]["mean"] for m in have]), "rows": rows})
        average = []
        for k in range(len(plan) * len(rules)):
            rows = [q["rows"][k] for q in packs]
            average.append({"kind": rows[0]["kind"], "rule": rows[0]["rule"], "size": rows[0]["size"] if rows[0]["kind"] == "seeds" else None, "accuracy": mean([r["accuracy"] for r in rows]),
                            "gain_over_val_single": mean([r["gain_over_val_single"] for r in rows]),
                            "gain_over_best_single": mean([r["accuracy"] - q["best_single_accuracy"] for r, q in zip(rows, packs)])})
        start = mean([q["val_single_accuracy"] for q in packs])
        return {"packs": packs, "mean": average,
                "size_curve": [{"size": k + 1, "accuracy": start + .018 * (1 - math.exp(-k / 1.5))} for k in range(min(self.M, 8))]}

    def calibration(self, m, p):
        if not self.there(m, p):
            return None
        a, bins, shift = mean(self.accuracy[m][p]), [], .03 + .05 * self.draw.random()
        for k in range(15):
            confidence = (k + .5) / 15
            count = int(self.test[p] * .5 * math.exp(-(14 - k) / (2 + 4 * (1 - a)))) if k > 1 else 0
            bins.append({"confidence": confidence if count else 0., "count": count,
                         "accuracy": min(1., max(0., confidence - 2 * shift * (1 - confidence) - shift / 2 + self.draw.normal(0, .02))) if count else 0.})
        return {"ece": shift, "nll": -math.log(a) + .3, "brier": 1.2 * (1 - a), "temperature": 1.1 + 6 * shift, "ece_after": .3 * shift + .004,
                "nll_after": -math.log(a) + .24, "bins": bins}

    def cost(self, m, p, trials):
        if (m, p) in self.lost:
            return None
        seconds, k = 30 + 40 * self.draw.random() + 12 * (self.methods[m][2] > 1e6), self.methods[m][2]
        return {"tuning_seconds": sum(t["seconds"] for t in trials), "train_seconds": None if self.o.sealed else seconds, "images_a_second": 100000 / seconds,
                "test_images_a_second": None if self.o.sealed else 900 + 300 * self.draw.random(), "host_bytes": 900000000 + 4 * k,
                "device_bytes": 1400000000 + 16 * k + int(4e8 * self.draw.random()), "stored_bytes": 4 * (k + 768 * self.packs[p][2]) + 512,
                "device": "NVIDIA H100 80GB HBM3 (driver 550.54)" if m % 4 else "llvmpipe (LLVM 19.1.7, 256 bits), Mesa 26.1.6"}

    def opening(self, m, p, s, again):
        minutes = (m * self.P + p) * self.S + s + (600 if again else 0)
        return {"when": f"2025-03-{14 + minutes // 1440:02d}T{minutes // 60 % 24:02d}:{minutes % 60:02d}:07Z", "method": self.methods[m][0],
                "pack": self.packs[p][0], "seed": str(s), "trial": identity("final", m, p, s), "reason": "vitro eval --final", "again": again}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?", default=OUT, type=pathlib.Path)
    parser.add_argument("--methods", type=int, default=7)
    parser.add_argument("--packs", type=int, default=len(SMALL))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=9)
    parser.add_argument("--sealed", action="store_true")
    o = parser.parse_args()
    o.out.write_text(json.dumps(digits(Sample(o).document()), separators=(",", ":")) + "\n")
    print(o.out, o.out.stat().st_size, "bytes")


main()

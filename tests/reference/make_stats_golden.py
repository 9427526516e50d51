"""Makes golden/stats.json: what SciPy, statsmodels, scikit-learn and NumPy say about small made-up data.

The expected values come from those packages or, where none of them has the statistic, from its definition written
out in NumPy in another way than in core/study (brute force, Monte Carlo). Logits are multiples of 1/64, so that
float32 holds them exactly. Takes a minute, most of it for the Monte Carlo of the bootstrap.
Needs numpy, scipy, scikit-learn, statsmodels:  python3 make_stats_golden.py [OUT]
"""
import itertools
import json
import pathlib
import sys
import warnings

import numpy as np
from scipy import optimize, stats
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss, cohen_kappa_score, log_loss
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

rng = np.random.default_rng(20)
BINS, REPLICATES = 15, 40_000


def basic():
    z = float(stats.norm.ppf(0.975))
    wilson = [(int(k), int(n), *map(float, proportion_confint(k, n, alpha=0.05, method="wilson")))
              for k, n in [(0, 10), (10, 10), (1, 7), (350, 500), (9_999, 10_000), (3, 1_000_000)]]
    values = [rng.normal(size=11), 1e9 + rng.normal(size=40), np.repeat([2.0, 5.0], 3), np.array([0.1, 0.1, 0.1])]
    moments = [dict(values=v.tolist(), mean=v.mean(), deviation=v.std(ddof=1),
                    quantiles=[(q, float(np.quantile(v, q))) for q in (0, 0.025, 0.25, 0.5, 0.61, 0.975, 1)])
               for v in map(np.sort, values)]
    return dict(z=z, wilson=wilson, moments=moments)


def tests():
    pairs = [(0, 0), (0, 1), (1, 0), (5, 5), (0, 12), (3, 14), (10, 25), (15, 16), (120, 77), (0, 900), (1, 1_000),
             (4_900, 5_100), (2_000, 9_000), (100_000, 101_000), (499_999, 500_001)]
    exact = [(b, c, float(mcnemar([[7, b], [c, 9]], exact=True).pvalue)) for b, c in pairs]
    holm = [dict(p=p, adjusted=multipletests(p, method="holm")[1].tolist())
            for p in ([0.03], [0.01, 0.04, 0.03, 0.005], [1e-12, 0.5, 0.5, 0.9, 1.0, 0.0], [0.2] * 5,
                      rng.uniform(0, 0.1, 45).tolist())]
    tables = [rng.normal(size=(5, 3)), rng.normal(size=(19, 16)) + np.linspace(0, 1, 16),
              rng.integers(0, 4, (12, 6)), np.tile([1.0, 2, 3, 4, 5], (40, 1)), rng.normal(size=(200, 7)) * 3,
              np.array([[0.5, 0.5, 0.25], [0.75, 0.5, 0.5], [1, 0.5, 0.25]]), rng.integers(0, 2, (6, 60))]
    friedman = []
    for table in tables:
        result = stats.friedmanchisquare(*np.asarray(table, float).T)
        friedman.append(dict(values=np.asarray(table, float).tolist(), chi2=float(result.statistic),
                             p=float(result.pvalue)))
    return dict(mcnemar=exact, holm=holm, friedman=friedman)


def agreement():
    cases = []
    for classes, count, noise in ((2, 40, 0.3), (7, 200, 0.4), (3, 30, 0.0), (2_500, 300, 0.2), (5, 100, 1.0)):
        a = rng.integers(0, classes, count)
        b = np.where(rng.uniform(size=count) < noise, rng.integers(0, classes, count), a)
        cases.append(dict(classes=classes, a=a.tolist(), b=b.tolist(), kappa=float(cohen_kappa_score(a, b))))
    errors = []
    for p in (0.1, 0.6, 0.95):
        a = rng.uniform(size=150) < p
        b = np.where(rng.uniform(size=150) < 0.5, a, rng.uniform(size=150) < p)
        errors.append(dict(a=a.astype(int).tolist(), b=b.astype(int).tolist(), kappa=float(cohen_kappa_score(a, b))))
    return dict(kappa=cases, errors=errors)


def ranks():
    cases = []
    for v in (rng.normal(size=9), rng.integers(0, 4, 14).astype(float), np.ones(4), np.array([3.0])):
        cases.append(dict(values=v.tolist(), best=stats.rankdata(-v, "min").tolist(),
                          mean=stats.rankdata(-v, "average").tolist()))
    best = []
    for v in (np.array([0.25, 0.75, 0.5, 0.5, 0.125]), rng.uniform(size=6)):
        best.append(dict(scores=v.tolist(), expected=[
            float(np.mean([max(draw) for draw in itertools.product(v, repeat=n)])) for n in range(1, len(v) + 1)]))
    return dict(ranks=cases, expected_best=best)


def calibration_case(logits, labels, temperature):
    z = logits.astype(float) / temperature
    p = softmax(z, 1)
    count, classes = p.shape
    confidence, right = p.max(1), p.argmax(1) == labels
    inside = np.digitize(confidence, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
    bins = [(int((inside == b).sum()), *((float(confidence[inside == b].mean()), float(right[inside == b].mean()))
                                         if (inside == b).any() else (0.0, 0.0))) for b in range(BINS)]
    ece = sum(n / count * abs(a - c) for n, c, a in bins)
    nll = log_loss(labels, p, labels=range(classes)) if p.min() > 1e-15 else \
        float(-log_softmax(z, 1)[np.arange(count), labels].mean())  # scikit-learn clips what is smaller
    return dict(temperature=temperature, ece=ece, nll=nll, confidence=float(confidence.mean()),
                accuracy=float(right.mean()), bins=bins,
                brier=float(brier_score_loss(labels, p, labels=range(classes), scale_by_half=False)
                            if classes > 2 else ((p - np.eye(classes)[labels]) ** 2).sum(1).mean()))


def fitted(logits, labels):
    """The least NLL twice: by SciPy's bounded search over log T, and as the root of its slope, which is sharper."""
    z, at = logits.astype(float), (np.arange(len(labels)), labels)

    def nll(log_t):
        return -log_softmax(z / np.exp(log_t), 1)[at].mean()

    def slope(inverse):
        return ((softmax(z * inverse, 1) * z).sum(1) - z[at]).mean()

    search = optimize.minimize_scalar(nll, bounds=(np.log(0.01), np.log(100)), method="bounded",
                                      options=dict(xatol=1e-9))
    root = optimize.brentq(slope, 0.01, 100, xtol=1e-15, rtol=1e-14) if slope(0.01) < 0 < slope(100) else None
    return dict(search=float(np.exp(search.x)), root=1 / root if root else None)


def calibration():
    cases = []
    for count, classes, scale, quality in ((60, 7, 2, 1.5), (80, 3, 12, 1.0), (40, 2, 1, 0.5), (30, 12, 40, 3.0),
                                           (50, 5, 0.2, 9.0)):
        labels = rng.integers(0, classes, count)
        logits = rng.normal(size=(count, classes))
        logits[np.arange(count), labels] += quality
        logits = np.round(logits * scale * 64) / 64
        cases.append(dict(logits=logits.tolist(), labels=labels.tolist(), fitted=fitted(logits, labels),
                          results=[calibration_case(logits, labels, t) for t in (1.0, 0.5, 3.0)]))
    return cases


def draw_scores(right, levels, generator):
    """One replicate of the hierarchical bootstrap, as its definition reads. right: a [M, S, N_t] for each task."""
    tasks, seeds = len(right), right[0].shape[1]
    score = 0
    for t in generator.integers(0, tasks, tasks) if levels & 1 else range(tasks):
        r = right[t]
        if levels & 2:
            r = r[:, generator.integers(0, seeds, seeds)]
        if levels & 4:
            r = r[:, :, generator.integers(0, r.shape[2], r.shape[2])]
        score = score + r.mean((1, 2))
    return score / tasks


def bootstrap():
    methods, seeds, images = 3, 3, (40, 25, 70, 64)
    right = []
    for n in images:
        ease = rng.normal(1, 1.5, n)
        skill = rng.normal(0, 0.4, (methods, seeds, 1)) + np.array([0.3, 0, -0.2])[:, None, None]
        right.append((ease + skill + rng.normal(0, 0.5, (methods, seeds, n)) > 0).astype(float))
    levels = []
    for mask in range(1, 8):
        generator = np.random.default_rng(mask)
        s = np.array([draw_scores(right, mask, generator) for _ in range(REPLICATES)])
        d = s[:, 0] - s[:, 1]
        levels.append(dict(levels=mask, deviation=s.std(0, ddof=1).tolist(), difference=float(d.std(ddof=1)),
                           low=float(np.quantile(d, 0.025)), high=float(np.quantile(d, 0.975))))
    a, b = right[2][0].mean(0), right[2][1].mean(0)
    paired = stats.bootstrap((a, b), lambda x, y, axis=-1: x.mean(axis) - y.mean(axis), paired=True,
                             n_resamples=REPLICATES, method="percentile", rng=np.random.default_rng(1))
    return dict(methods=methods, seeds=seeds, replicates=REPLICATES, levels=levels,
                right=["".join(str(int(v)) for v in r.ravel()) for r in right],
                scipy=dict(task=2, low=float(paired.confidence_interval.low),
                           high=float(paired.confidence_interval.high), error=float(paired.standard_error)))


def main(path):
    warnings.simplefilter("ignore")  # scikit-learn on labels that are all different
    document = dict(basic=basic(), tests=tests(), agreement=agreement(), ranks=ranks(), calibration=calibration(),
                    bootstrap=bootstrap())
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else
         pathlib.Path(__file__).parent / "golden" / "stats.json")

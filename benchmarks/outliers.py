"""Outlier detection on tables: the default AdversarialAutoencoder against what people use now.

Protocols, on at most 5,000 rows of each set (seeded permutation):

- one-class: half of the normal rows train, everything else is scored;
- contaminated: all rows train and are scored.

Our estimator gets raw X with its default parameters, the same for all sets and both protocols; the
others get X after StandardScaler. PyOD's detectors need `pip install pyod`. Variants of our score
tell what its parts are worth; those of the same fits take the time of scoring alone.

Results are appended run by run to results/outliers.jsonl, so that an interrupted benchmark goes on
where it stopped; tables are written to results/outliers.md.
"""

import argparse
import json
import time
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.covariance import EllipticEnvelope, EmpiricalCovariance
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae._learned.density import (
    N_REFERENCES,
    DensityScore,
    distances_from_center,
    fit_density,
    joined,
)
from sklearn_aae._rows.columns import fit_columns

RESULTS = Path(__file__).parent / "results"
MAX_ROWS = 5000


class KNN(OutlierMixin, BaseEstimator):
    """Distance to the fifth nearest training row, other than the row itself."""

    def fit(self, X):
        self.neighbors_ = NearestNeighbors(n_neighbors=5).fit(X)
        return self

    def score_samples(self, X):
        own = X is self.neighbors_._fit_X
        distance, _ = self.neighbors_.kneighbors(None if own else X)
        return -distance[:, -1]


class PCAReconstruction(OutlierMixin, BaseEstimator):
    """Squared reconstruction error of as many components as explain 90 % of the variance."""

    def fit(self, X):
        self.pca_ = PCA(n_components=0.9, svd_solver="full").fit(X)
        return self

    def score_samples(self, X):
        residual = X - self.pca_.inverse_transform(self.pca_.transform(X))
        return -np.square(residual).sum(axis=1)


class Mahalanobis(OutlierMixin, BaseEstimator):
    """Mahalanobis distance under the empirical covariance."""

    def fit(self, X):
        self.covariance_ = EmpiricalCovariance().fit(X)
        return self

    def score_samples(self, X):
        return -self.covariance_.mahalanobis(X)


class LOF(OutlierMixin, BaseEstimator):
    """LocalOutlierFactor, with the factor of its own training rows where these are scored."""

    def fit(self, X):
        self.X_ = X
        self.lof_ = LocalOutlierFactor().fit(X)
        self.novelty_ = LocalOutlierFactor(novelty=True).fit(X)
        return self

    def score_samples(self, X):
        if X is self.X_:
            return self.lof_.negative_outlier_factor_
        return self.novelty_.score_samples(X)


class PyOD(OutlierMixin, BaseEstimator):
    """A detector of PyOD with its defaults and the sign of scikit-learn."""

    def __init__(self, module, name, random_state=None):
        self.module = module
        self.name = name
        self.random_state = random_state

    def fit(self, X):
        import torch

        cls = getattr(import_module(f"pyod.models.{self.module}"), self.name)
        options = {"n_features": X.shape[1]} if self.name == "DeepSVDD" else {}
        if "random_state" in cls.__init__.__code__.co_varnames:
            options["random_state"] = self.random_state
        torch.manual_seed(self.random_state)
        np.random.seed(self.random_state)  # noqa: NPY002  # some of PyOD's detectors draw from it
        self.detector_ = cls(**options)
        self.detector_.fit(X)
        return self

    def score_samples(self, X):
        return -self.detector_.decision_function(X)


class RobustMahalanobis(OutlierMixin, BaseEstimator):
    """EllipticEnvelope; Mahalanobis where the columns are more than half of the rows."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X):
        wide = 2 * X.shape[1] > len(X)
        self.detector_ = Mahalanobis() if wide else EllipticEnvelope(random_state=self.random_state)
        self.detector_.fit(X)
        return self

    def score_samples(self, X):
        return self.detector_.score_samples(X)


class NoNetwork(OutlierMixin, BaseEstimator):
    """The score of AdversarialAutoencoder with nothing decoded: all of a row is residual."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X):
        X = X.astype(float)
        self.columns_, _ = fit_columns(X, None, "gaussian", standardize=True)
        x = self.columns_.standardized(X).numpy()
        rng = np.random.RandomState(self.random_state)
        kept = rng.permutation(len(x))[:N_REFERENCES]
        self.density_ = fit_density(
            np.zeros_like(x[kept]), x[kept], x.shape[1], one_unit=self.columns_.one_unit
        )
        return self

    def score_samples(self, X):
        x = self.columns_.standardized(X.astype(float)).numpy()
        return DensityScore(self.density_, x.dtype)(np.zeros_like(x), x)


_LAST = {}


def fitted(X, seed):
    """AdversarialAutoencoder fitted to X, the last one if it is that."""
    key = (hash(X.tobytes()), seed)
    if key not in _LAST:
        _LAST.clear()
        _LAST[key] = AdversarialAutoencoder(random_state=seed).fit(X)
    return _LAST[key]


class Variant(OutlierMixin, BaseEstimator):
    """A fitted AdversarialAutoencoder that scores by one part, or with other neighbours."""

    def __init__(self, n_neighbors, table=True, random_state=None):
        self.n_neighbors = n_neighbors
        self.table = table
        self.random_state = random_state

    def fit(self, X):
        self.model_ = fitted(X, self.random_state)
        return self

    def score_samples(self, X):
        X, model = X.astype(float), self.model_
        density, k = model._density, self.n_neighbors
        d = density.n_features
        references = density.references[:, :d], density.references[:, d:] / density.residual_scale
        find = DensityScore(density, X.dtype)

        def near(decoded, residual):
            squares, _ = find.neighbors(decoded, residual, k)
            return np.sqrt(squares.mean(axis=1) + density.epsilon * d)

        split = model._inference.split_rows(X)
        distance, w = 0, density.of_neighbors
        if k:
            distance = w * near(*split) / np.median(near(*references))
        if self.table:
            queries = joined(*split, density.residual_scale)
            far = distances_from_center(density, queries)
            distance = distance + (1 - w) * far / density.far
        return -np.log(distance)


# How much of the score is whose: rows of the estimator's fits take the time of scoring alone.
ABLATION = {
    "same score, no network": lambda seed: NoNetwork(random_state=seed),
    "neighbours alone": lambda seed: Variant(3, table=False, random_state=seed),
    "whole table alone": lambda seed: Variant(0, random_state=seed),
    "1 neighbour": lambda seed: Variant(1, random_state=seed),
    "5 neighbours": lambda seed: Variant(5, random_state=seed),
    "10 neighbours": lambda seed: Variant(10, random_state=seed),
    "untrained network": lambda seed: AdversarialAutoencoder(
        lr=1e-12, discriminator_lr=1e-12, max_iter=1, random_state=seed
    ),
    "no critic": lambda seed: AdversarialAutoencoder(adversarial_weight=0, random_state=seed),
}

# What it costs to keep fewer training rows, or none.
KEPT = {
    "200 references": lambda seed: AdversarialAutoencoder(n_references=200, random_state=seed),
    "20 references": lambda seed: AdversarialAutoencoder(n_references=20, random_state=seed),
    "means of rows": lambda seed: AdversarialAutoencoder(references="means", random_state=seed),
}

DETECTORS = {
    "AdversarialAutoencoder": lambda seed: AdversarialAutoencoder(random_state=seed),
    "IsolationForest": lambda seed: IsolationForest(random_state=seed),
    "LocalOutlierFactor": lambda seed: LOF(),
    "kNN": lambda seed: KNN(),
    "PCA reconstruction": lambda seed: PCAReconstruction(),
    "Mahalanobis": lambda seed: Mahalanobis(),
    "OneClassSVM": lambda seed: OneClassSVM(),
    "EllipticEnvelope": lambda seed: RobustMahalanobis(random_state=seed),
    "PyOD AutoEncoder": lambda seed: PyOD("auto_encoder", "AutoEncoder", seed),
    "PyOD VAE": lambda seed: PyOD("vae", "VAE", seed),
    "PyOD DeepSVDD": lambda seed: PyOD("deep_svdd", "DeepSVDD", seed),
    "PyOD ALAD": lambda seed: PyOD("alad", "ALAD", seed),
    "PyOD ECOD": lambda seed: PyOD("ecod", "ECOD", seed),
    **ABLATION,
    **KEPT,
}


def split(X, is_outlier, protocol, seed):
    """Training rows, rows to score, and which of these are outliers."""
    rng = np.random.RandomState(seed)
    rows = rng.permutation(len(X))[:MAX_ROWS]
    X, is_outlier = X[rows], is_outlier[rows]
    if protocol == "contaminated":
        return X, X, is_outlier
    normal = np.flatnonzero(is_outlier == 0)
    training = normal[: len(normal) // 2]
    scored = np.setdiff1d(np.arange(len(X)), training)
    return X[training], X[scored], is_outlier[scored]


def run(path, protocol, seed, name):
    with np.load(path) as file:
        X, is_outlier = file["X"], file["y"]
    X_train, X_test, y_test = split(X, is_outlier, protocol, seed)
    if name != "AdversarialAutoencoder" and name not in ABLATION | KEPT:
        scaler = StandardScaler().fit(X_train)
        same = X_test is X_train
        X_train = scaler.transform(X_train)
        X_test = X_train if same else scaler.transform(X_test)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "AdversarialAutoencoder":
            scores = fitted(X_train, seed).score_samples(X_test)
        else:
            scores = DETECTORS[name](seed).fit(X_train).score_samples(X_test)
    seconds = time.perf_counter() - start
    return {
        "auroc": float(roc_auc_score(y_test, -scores)),
        "average_precision": float(average_precision_score(y_test, -scores)),
        "seconds": seconds,
    }


def tables(rows):
    """Markdown: summary and per-set AUROC for each protocol, over the seeds that are complete."""
    for protocol in ("one-class", "contaminated"):
        cells = {(r["set"], r["seed"], r["detector"]): r for r in rows if r["protocol"] == protocol}
        if not cells:
            continue
        sets = sorted({key[0] for key in cells}, key=lambda s: int(s.split("_")[0]))
        names = [n for n in DETECTORS if any(key[2] == n for key in cells)]
        seeds = sorted({key[1] for key in cells})
        complete = [s for s in seeds if all((d, s, n) in cells for d in sets for n in names)]
        yield f"## {protocol}: {len(sets)} sets, seeds {complete}\n"
        if not complete:
            continue
        auroc = np.array(
            [[[cells[d, s, n]["auroc"] for n in names] for d in sets] for s in complete]
        )
        precision = np.array(
            [[[cells[d, s, n]["average_precision"] for n in names] for d in sets] for s in complete]
        )
        seconds = np.array(
            [[[cells[d, s, n]["seconds"] for n in names] for d in sets] for s in complete]
        )
        from scipy.stats import rankdata

        rank = rankdata(-auroc, axis=2).mean(axis=(0, 1))
        # Of one seed: interleaved set by set, so that all detectors met the same load.
        yield (
            "| detector | AUROC | std over seeds | average precision | mean rank | "
            f"seconds, seed {complete[0]} |"
        )
        yield "|---|---|---|---|---|---|"
        for i in np.argsort(-auroc.mean(axis=(0, 1))):
            yield (
                f"| {names[i]} | {auroc[:, :, i].mean():.4f} | "
                f"{auroc[:, :, i].mean(axis=1).std():.4f} | {precision[:, :, i].mean():.4f} | "
                f"{rank[i]:.2f} | {seconds[0, :, i].sum():.0f} |"
            )
        yield "\nAUROC of each set, mean over seeds:\n"
        yield "| set | " + " | ".join(names) + " |"
        yield "|---" * (len(names) + 1) + "|"
        for j, d in enumerate(sets):
            yield f"| {d} | " + " | ".join(f"{v:.3f}" for v in auroc[:, j].mean(axis=0)) + " |"
        yield ""


def cross_choice(rows, n_halves=10):
    """Markdown: the variant that is best on half of the sets, on the other half, both ways."""
    names = [
        n for n in ("AdversarialAutoencoder", *ABLATION) if any(r["detector"] == n for r in rows)
    ]
    others = ("kNN", "IsolationForest", "Mahalanobis")
    protocols = ("one-class", "contaminated")
    auroc = {}
    for r in rows:
        auroc.setdefault((r["protocol"], r["detector"], r["set"]), {})[r["seed"]] = r["auroc"]
    seeds = sorted(set.intersection(*(set(v) for k, v in auroc.items() if k[1] in names)))
    sets = sorted({r["set"] for r in rows})

    def mean(protocol, name, some):
        return np.mean([auroc[protocol, name, d][s] for d in some for s in seeds])

    found = {name: [] for name in ("chosen on the other half", *others)}
    chosen = []
    rng = np.random.RandomState(0)
    for _ in range(n_halves):
        order = rng.permutation(sets)
        halves = order[: len(sets) // 2], order[len(sets) // 2 :]
        for known, unknown in (halves, halves[::-1]):
            best = max(names, key=lambda n: sum(mean(p, n, known) for p in protocols))
            chosen.append(best)
            found["chosen on the other half"].append([mean(p, best, unknown) for p in protocols])
            for name in others:
                found[name].append([mean(p, name, unknown) for p in protocols])
    yield f"## Cross-choice: {n_halves} random halves of the sets, both ways, seeds {seeds}\n"
    yield "The variant of this score with the largest sum of both protocols on one half:\n"
    yield "| detector, on the other half | one-class | contaminated |"
    yield "|---|---|---|"
    for name, values in found.items():
        yield f"| {name} | " + " | ".join(f"{v:.4f}" for v in np.mean(values, axis=0)) + " |"
    counts = {name: chosen.count(name) for name in dict.fromkeys(chosen)}
    yield "\nChosen: " + ", ".join(f"{name} {count} times" for name, count in counts.items()) + "."


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/adbench"))
    parser.add_argument("--protocol", nargs="+", default=["one-class", "contaminated"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    usual = [name for name in DETECTORS if name not in KEPT]
    parser.add_argument("--detectors", nargs="+", default=usual, choices=list(DETECTORS))
    parser.add_argument("--out", type=Path, default=RESULTS / "outliers.jsonl")
    arguments = parser.parse_args(arguments)

    out = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {(r["set"], r["protocol"], r["seed"], r["detector"]) for r in rows}
    files = sorted(arguments.data.glob("*.npz"), key=lambda p: int(p.stem.split("_")[0]))
    if not files:
        parser.error(f"no .npz files in --data {arguments.data}")
    plan = [
        (path, protocol, seed, name)
        for seed in arguments.seeds
        for protocol in arguments.protocol
        for path in files
        for name in arguments.detectors
        if (path.stem, protocol, seed, name) not in done
    ]
    for i, (path, protocol, seed, name) in enumerate(plan, start=1):
        key = {"set": path.stem, "protocol": protocol, "seed": seed, "detector": name}
        row = key | run(path, protocol, seed, name)
        rows.append(row)
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{i}/{len(plan)} {json.dumps(row)}", flush=True)
    compared = [] if any(r["detector"] in KEPT for r in rows) else cross_choice(rows)
    text = "\n".join([*tables(rows), *compared]) + "\n"
    out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

"""What changes when an estimator of scikit-learn is exchanged for one of this package.

Only data that come with scikit-learn, all estimators with their defaults but for what a line of the
table names, five splits. Outliers: one class is left out of the training, in turn, and told from
held-out rows of the others (AUROC). Compression and denoising: error on held-out rows over that of
the column means, of rows as they are, and with noise of half a standard deviation against the clean
ones. Samples: AUROC of gradient boosting that tells them from held-out rows, 0.5 is best. Few
labels: error on the rows without, five labels in each class. Missing cells: a fifth of the cells is
removed at random, root mean squared error in standard deviations.

Results are appended run by run to results/from_scikit_learn.jsonl, so that an interrupted benchmark
goes on where it stopped; the table is written to results/from_scikit_learn.md.
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from resumable import Results
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # makes the import work
from sklearn.impute import IterativeImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

from sklearn_aae import AdversarialAutoencoder, AdversarialAutoencoderClassifier
from sklearn_aae.metrics import classifier_two_sample_score

RESULTS = Path(__file__).parent / "results"
DATA = {"digits": load_digits, "wine": load_wine, "breast cancer": load_breast_cancer}
CODES = {"digits": 8, "wine": 3, "breast cancer": 4}


def scaled(estimator):
    return make_pipeline(StandardScaler(), estimator)


def outliers(how, X, y, seed, k):
    aurocs = []
    for left_out in np.unique(y):
        inliers = X[y != left_out]
        train, test = train_test_split(inliers, random_state=seed)
        detector = {
            "IsolationForest": lambda: IsolationForest(random_state=seed),
            "AdversarialAutoencoder": lambda: AdversarialAutoencoder(random_state=seed),
        }[how]().fit(train)
        odd = X[y == left_out]
        scores = detector.score_samples(np.concatenate([test, odd]))
        aurocs.append(roc_auc_score(np.repeat([1, 0], [len(test), len(odd)]), scores))
    return {"AUROC": float(np.mean(aurocs))}


def compression(how, X, y, seed, k):
    train, test = train_test_split(X, random_state=seed)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    noisy = test + np.random.default_rng(seed).normal(0, 0.5, test.shape)
    if how == "PCA":
        pca = PCA(k, random_state=seed).fit(train)

        def reconstruct(rows):
            return pca.inverse_transform(pca.transform(rows))
    elif how == "MLPRegressor(X, X)":
        layers = (128, k, 128)
        reconstruct = (
            MLPRegressor(hidden_layer_sizes=layers, random_state=seed).fit(train, train).predict
        )
    else:
        model = AdversarialAutoencoder(k, max_iter=200, random_state=seed).fit(train)
        reconstruct = model.reconstruct
    total = np.square(test - train.mean(axis=0)).sum()
    return {
        "error": float(np.square(reconstruct(test) - test).sum() / total),
        "error with noise": float(np.square(reconstruct(noisy) - test).sum() / total),
    }


def samples(how, X, y, seed, k):
    train, test = train_test_split(X, random_state=seed)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    if how == "KernelDensity":
        widths = {"bandwidth": np.geomspace(0.1, 3, 20)}
        density = GridSearchCV(KernelDensity(), widths).fit(train).best_estimator_
        drawn = density.sample(len(test), random_state=seed)
    else:
        model = AdversarialAutoencoder(k, max_iter=200, random_state=seed).fit(train)
        drawn = model.sample(len(test), random_state=seed)
    judge = HistGradientBoostingClassifier(random_state=0)
    return {
        "AUROC": float(
            classifier_two_sample_score(drawn, test, classifier=judge, random_state=seed)
        )
    }


def few_labels(how, X, y, seed, k):
    random_state = np.random.RandomState(seed)
    partial_y = np.full(len(y), -1)
    for c in np.unique(y):
        partial_y[random_state.choice(np.flatnonzero(y == c), 5, replace=False)] = c
    if how == "LabelSpreading":
        model = scaled(LabelSpreading(kernel="knn")).fit(X, partial_y)
    else:
        model = AdversarialAutoencoderClassifier(random_state=seed).fit(X, partial_y)
    hidden = partial_y < 0
    return {"error": float(np.mean(model.predict(X[hidden]) != y[hidden]))}


def missing_cells(how, X, y, seed, k):
    hidden = np.random.default_rng(seed).random(X.shape) < 0.2
    scale = np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    gaps = np.where(hidden, np.nan, X)
    if how == "IterativeImputer":
        filled = IterativeImputer(random_state=seed, keep_empty_features=True).fit_transform(gaps)
    else:
        filled = AdversarialAutoencoder(random_state=seed).fit(gaps).impute(gaps)
    return {"RMSE": float(np.sqrt(np.square((filled - X) / scale)[hidden].mean()))}


TASKS = {
    "outliers": (outliers, ("IsolationForest", "AdversarialAutoencoder")),
    "compression": (compression, ("PCA", "MLPRegressor(X, X)", "AdversarialAutoencoder")),
    "samples": (samples, ("KernelDensity", "AdversarialAutoencoder")),
    "few labels": (few_labels, ("LabelSpreading", "AdversarialAutoencoderClassifier")),
    "missing cells": (missing_cells, ("IterativeImputer", "AdversarialAutoencoder")),
}
VALUES = ("AUROC", "error", "error with noise", "RMSE")


def run(task, how, data, seed):
    X, y = DATA[data](return_X_y=True)
    start = time.process_time()
    with warnings.catch_warnings():
        # The perceptron and the imputer stop before they are done, and say so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        values = TASKS[task][0](how, X, y, seed, CODES[data])
    return values | {"seconds": time.process_time() - start}


def table(rows):
    for task, (_, hows) in TASKS.items():
        of_task = [r for r in rows if r["task"] == task]
        names = [n for n in VALUES if any(n in r for r in of_task)]
        if not of_task:
            continue
        yield f"{task.capitalize()}: {', '.join(names)}, means; processor seconds of a run.\n"
        columns = [(data, name) for data in DATA for name in names]
        yield "| | " + " | ".join(f"{d}, {n}" for d, n in columns) + " | seconds |"
        yield "|---" * (len(columns) + 2) + "|"
        for how in hows:
            mine = [r for r in of_task if r["how"] == how]
            cells = [f"{np.mean([r[n] for r in mine if r['data'] == d]):.3f}" for d, n in columns]
            seconds = np.mean([r["seconds"] for r in mine])
            yield f"| {how} | {' | '.join(cells)} | {seconds:.1f} |"
        yield ""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=RESULTS / "from_scikit_learn.jsonl")
    arguments = parser.parse_args()

    plan = [
        (
            {"task": task, "data": data, "how": how, "seed": seed},
            partial(run, task, how, data, seed),
        )
        for task in arguments.tasks
        for data in DATA
        for seed in arguments.seeds
        for how in TASKS[task][1]
    ]
    results = Results(arguments.out)
    results.complete(plan)
    results.write_table(table(results.rows))


if __name__ == "__main__":
    main()

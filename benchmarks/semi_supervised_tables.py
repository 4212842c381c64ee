"""Few labels on tables, with rare classes among them: the classifier against what people use now.

Eighteen tables: fourteen of ADBench with two classes, of which one may be rare, and digits, wine,
breast cancer and adult. Of each, up to 3,000 rows to train on and as many to test on, both with the
shares of the whole table; 5, 10 or 50 rows of each class have a label (at most half of a class),
drawn anew for each draw. Measured on test rows: balanced accuracy, error, the expected calibration
error of the most probable class (ten bins), and how far shares are from those of the table (total
variation). All defaults, columns standardised by all training rows for the baselines:

- LogisticRegression and HistGradientBoosting: on the labelled rows;
- LabelSpreading: on a graph of 7 nearest neighbours;
- SelfTraining: scikit-learn's SelfTrainingClassifier around logistic regression.

How the classifier weighs what it knows was chosen on mammography, shuttle, pendigits, letter,
skin, magic.gamma, satimage-2, digits and breast cancer, and changed three times after runs on
campaign, landsat, PageBlocks and Cardiotocography, and Pima and adult; the tables on which nothing
was chosen have a mean of their own.

Results are appended run by run to results/semi_supervised_tables.jsonl, so that an interrupted
benchmark goes on where it stopped; tables are written to results/semi_supervised_tables.md.
"""

import argparse
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from resumable import Results
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sklearn_aae import AdversarialAutoencoderClassifier

RESULTS = Path(__file__).parent / "results"
ADBENCH = {
    "mammography": 23,
    "PageBlocks": 27,
    "shuttle": 32,
    "campaign": 5,
    "pendigits": 28,
    "Pima": 29,
    "satimage-2": 31,
    "Cardiotocography": 7,
    "landsat": 19,
    "magic.gamma": 22,
    "letter": 20,
    "skin": 33,
    "donors": 11,
    "cover": 10,
}
BUNDLED = {"digits": load_digits, "wine": load_wine, "breast cancer": load_breast_cancer}
TABLES = [*ADBENCH, *BUNDLED, "adult"]
CHOSEN_ON = {
    "mammography",
    "shuttle",
    "pendigits",
    "magic.gamma",
    "letter",
    "skin",
    "satimage-2",
    "digits",
    "breast cancer",
    "landsat",
    "campaign",
    "PageBlocks",
    "Cardiotocography",
    "Pima",
    "adult",
}
OURS = "AdversarialAutoencoderClassifier"
METHODS = [
    "LogisticRegression",
    "LabelSpreading",
    "SelfTraining",
    "HistGradientBoosting",
    OURS,
]
ROWS = 3000
BINS = 10


def load(name, data, tables):
    if name in BUNDLED:
        return BUNDLED[name](return_X_y=True)
    if name == "adult":
        frame = pd.read_csv(tables / "adult.csv.gz").dropna()
        y = frame.pop(frame.columns[-1])
        text = make_column_selector(dtype_exclude="number")
        one_hot = OneHotEncoder(min_frequency=50, handle_unknown="ignore", sparse_output=False)
        columns = make_column_transformer((one_hot, text), remainder="passthrough")
        return columns.fit_transform(frame), np.unique(y, return_inverse=True)[1]
    with np.load(data / f"{ADBENCH[name]}_{name}.npz") as file:
        return file["X"].astype(float), file["y"].astype(int)


def draw(X, y, n_labels, seed):
    """Training rows with labels in few places, and test rows, both with the shares of the table."""
    random_state = np.random.RandomState(seed)
    order = random_state.permutation(len(y))
    train, test = [], []
    for k in np.unique(y):
        own = order[y[order] == k]
        n = max(1, round(len(own) / len(y) * min(len(y), 2 * ROWS) / 2))
        train.append(own[:n])
        test.append(own[n : 2 * n])
    train, test = (random_state.permutation(np.concatenate(rows)) for rows in (train, test))
    labels = np.full(len(train), -1)
    for k in np.unique(y):
        own = np.flatnonzero(y[train] == k)
        chosen = random_state.choice(own, min(n_labels, len(own) // 2), replace=False)
        labels[chosen] = k
    return X[train], labels, X[test], y[test]


def fitted(method, X, labels, seed):
    labelled = labels >= 0
    if method == OURS:
        return AdversarialAutoencoderClassifier(random_state=seed).fit(X, labels)
    if method == "LabelSpreading":
        return LabelSpreading(kernel="knn", n_neighbors=7).fit(X, labels)
    if method == "SelfTraining":
        return SelfTrainingClassifier(LogisticRegression(max_iter=2000)).fit(X, labels)
    if method == "LogisticRegression":
        model = LogisticRegression(max_iter=2000)
    else:
        model = HistGradientBoostingClassifier(random_state=seed)
    return model.fit(X[labelled], labels[labelled])


def calibration_error(p, y):
    """Mean distance of confidence and accuracy over bins of the confidence (Guo et al., 2017)."""
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = np.bincount(bins, confidence - right, minlength=BINS)
    return float(np.abs(gap).sum() / len(y))


def run(method, name, n_labels, seed, data, tables):
    X, y = load(name, data, tables)
    X, labels, X_test, y_test = draw(X, y, n_labels, seed)
    if method != OURS:
        scaler = StandardScaler().fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fitted(method, X, labels, seed)
        predicted, p = model.predict(X_test), model.predict_proba(X_test)
    shares = np.bincount(y) / len(y)
    given = np.bincount(labels[labels >= 0]) / (labels >= 0).sum()
    believed = model.class_prior_ if method == OURS else given
    return {
        "balanced_accuracy": float(balanced_accuracy_score(y_test, predicted)),
        "error": float(np.mean(predicted != y_test)),
        "calibration_error": calibration_error(np.nan_to_num(p), y_test),
        "share_error": float(np.abs(believed - shares).sum() / 2),
    }


def mean_of(rows, value, **key):
    values = [r[value] for r in rows if key.items() <= r.items()]
    return np.mean(values) if values else np.nan


def table(rows):
    sizes = sorted({r["labels"] for r in rows})
    names = [name for name in TABLES if any(r["table"] == name for r in rows)]
    methods = [m for m in METHODS if any(r["method"] == m for r in rows)]
    for n in sizes:
        draws = len({r["draw"] for r in rows if r["labels"] == n and r["method"] == OURS})
        yield f"\nBalanced accuracy with {n} labels of each class, mean over draws ({draws}).\n"
        yield "| table | " + " | ".join(methods) + " |"
        yield "|---" * (len(methods) + 1) + "|"
        cells = {
            name: [
                mean_of(rows, "balanced_accuracy", table=name, labels=n, method=m) for m in methods
            ]
            for name in names
        }
        for name, values in cells.items():
            best = np.nanmax(values)
            shown = (f"**{v:.3f}**" if v == best else f"{v:.3f}" for v in values)
            yield f"| {name} | " + " | ".join(shown) + " |"
        complete = {name: v for name, v in cells.items() if not np.isnan(v).any()}
        for title, chosen in (
            (f"mean ({len(complete)} tables)", complete),
            ("mean, tables nothing was chosen on", complete.keys() - CHOSEN_ON),
        ):
            if chosen:
                means = np.mean([complete[name] for name in chosen], axis=0)
                yield f"| {title} | " + " | ".join(f"{v:.4f}" for v in means) + " |"
    yield "\nMeans over all tables and draws.\n"
    yield "| labels of each class | measure | " + " | ".join(methods) + " |"
    yield "|---" * (len(methods) + 2) + "|"
    for n in sizes:
        for value, title in (
            ("error", "error"),
            ("calibration_error", "expected calibration error"),
            ("share_error", "error of the shares"),
        ):
            means = [mean_of(rows, value, labels=n, method=m) for m in methods]
            yield f"| {n} | {title} | " + " | ".join(f"{v:.3f}" for v in means) + " |"
    yield "\nSeconds a fit: " + ", ".join(
        f"{m} {mean_of(rows, 'seconds', method=m):.1f}" for m in methods
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/adbench"))
    parser.add_argument("--tables", type=Path, default=Path("../shared/data/tables"))
    parser.add_argument("--labels", type=int, nargs="+", default=[10, 50, 5])
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--names", nargs="+", default=TABLES, help="of tables")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--out", type=Path, default=RESULTS / "semi_supervised_tables.jsonl")
    arguments = parser.parse_args()

    plan = []
    for seed in arguments.draws:
        for n_labels in arguments.labels:
            for name in arguments.names:
                for method in arguments.methods:
                    key = {"table": name, "labels": n_labels, "draw": seed, "method": method}
                    call = run, method, name, n_labels, seed, arguments.data, arguments.tables
                    plan.append((key, partial(*call)))
    results = Results(arguments.out)
    results.complete(plan)
    results.write_table(table(results.rows))


if __name__ == "__main__":
    main()

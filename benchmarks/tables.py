"""Tables with categories and missing cells: filling in, samples, outliers. Over three seeds.

Imputation: a fifth of the known cells of each table are hidden, in three patterns: at random; by
how high the row ranks in another column; by how high the cell itself ranks. Reported over the
hidden cells: the root mean squared error of numbers, in standard deviations, and the share of wrong
categories. Against mean and mode and KNNImputer, on standardised numbers and one-hot categories
of which the largest is taken, and IterativeImputer on numbers and positions of categories, with its
default, Bayesian ridge regression, and with gradient boosting.

Synthesis: as many rows as half of the table has, from the other half. Of a gradient boosting
classifier that tells them from the first half, the AUROC (0.5: it cannot); the score of SDMetrics'
quality report; balanced accuracy, on the first half, of gradient boosting that predicts a category
of the table from the samples, less that of one that is trained on the rows the sampler had; and the
share of samples that lie nearer to those rows than to the first half (0.5 for new rows), by numbers
in standard deviations and categories as blocks. Against SDV's GaussianCopula, CTGAN and TVAE (`pip
install sdv ctgan`), with their defaults; `--samplers` names those to run.

Outliers: tables of ADBench, half of the inliers trained on and the rest scored with the outliers,
with 0, 10 and 30 % of all cells removed, from both; and tables with categories, whose rarest class
is that of the outliers, with the gaps they have. Against IsolationForest, which takes NaN, on
positions of categories, and nearest neighbours on what KNNImputer has filled in, of blocks for
categories.

All estimators have their default parameters. Results are appended run by run to
results/tables.jsonl, so that an interrupted benchmark goes on where it stopped; the tables are
written to results/tables.md.
"""

import argparse
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from resumable import Results
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # makes the next import work
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from sklearn_aae import AdversarialAutoencoder

RESULTS = Path(__file__).parent / "results"
TABLES = ["penguins", "vote", "titanic", "horse_colic", "credit_g", "diamonds", "adult"]
ADBENCH = ["39_vertebral", "45_wine", "29_Pima", "40_vowels", "37_Stamps", "7_Cardiotocography"]
TARGETS = {
    "penguins": "species",
    "vote": "Class",
    "titanic": "survived",
    "horse_colic": "surgery",
    "credit_g": "class",
    "diamonds": "cut",
    "adult": "income",
}
PATTERNS = ["at random", "by another column", "by the value itself"]
SHARE = 0.2


def load(name, data, n_rows):
    """A table, or so many rows of it."""
    frame = pd.read_csv(data / "tables" / f"{name}.csv.gz")
    return frame.sample(min(n_rows, len(frame)), random_state=0).reset_index(drop=True)


def is_number(column):
    return column.dtype.kind in "iuf"


def ranks(column):
    """Ranks in [0, 1]; of categories by frequency."""
    if not is_number(column):
        column = column.map(column.value_counts())
    return column.rank(pct=True).fillna(0.5).to_numpy()


def hidden_cells(frame, pattern, seed):
    """Which known cells are hidden: a fifth on average, in one of the patterns."""
    rng = np.random.default_rng(seed)
    hidden = np.zeros(frame.shape, dtype=bool)
    for j, name in enumerate(frame):
        p = np.full(len(frame), SHARE)
        if pattern == "by another column":
            p = (
                2
                * SHARE
                * ranks(frame.iloc[:, (j + 1 + rng.integers(frame.shape[1] - 1)) % frame.shape[1]])
            )
        elif pattern == "by the value itself":
            p = 2 * SHARE * ranks(frame[name])
        hidden[:, j] = rng.random(len(frame)) < p
    return hidden & frame.notna().to_numpy()


class ByNumbers:
    """An imputer of arrays for frames: standardised numbers, categories as blocks of 0 and 1.

    Or, where it is not `one_hot`, as positions in the order of their names: of a block, an imputer
    that goes from column to column would know each indicator from the others.
    """

    def __init__(self, imputer, one_hot=True):
        self.imputer = imputer
        self.one_hot = one_hot

    def impute(self, frame):
        blocks = []
        for name in frame:
            column = frame[name]
            if is_number(column):
                blocks.append(column.to_numpy(dtype=float)[:, None])
                continue
            values = np.array(sorted(column.dropna().unique()), dtype=object)
            block = (column.to_numpy()[:, None] == values).astype(float)
            block = block if self.one_hot else block.argmax(axis=1)[:, None].astype(float)
            block[column.isna()] = np.nan
            blocks.append(block)
        scaler = StandardScaler()
        X = scaler.fit_transform(np.concatenate(blocks, axis=1))
        filled = scaler.inverse_transform(self.imputer.fit_transform(X))
        made, start = {}, 0
        for name, block in zip(frame, blocks, strict=True):
            cells, start = filled[:, start : start + block.shape[1]], start + block.shape[1]
            if is_number(frame[name]):
                made[name] = cells[:, 0]
                continue
            values = np.array(sorted(frame[name].dropna().unique()), dtype=object)
            one_hot = cells.argmax(axis=1)
            rounded = cells[:, 0].round().clip(0, len(values) - 1).astype(int)
            made[name] = values[one_hot if self.one_hot else rounded]
        return pd.DataFrame(made)


IMPUTERS = {
    "AdversarialAutoencoder": lambda seed: AdversarialAutoencoder(random_state=seed),
    "mean, mode": lambda seed: ByNumbers(SimpleImputer()),
    "KNNImputer": lambda seed: ByNumbers(KNNImputer()),
    "IterativeImputer": lambda seed: ByNumbers(IterativeImputer(random_state=seed), one_hot=False),
    "IterativeImputer, boosting": lambda seed: ByNumbers(
        IterativeImputer(HistGradientBoostingRegressor(random_state=seed), random_state=seed),
        one_hot=False,
    ),
}


def imputation(frame, pattern, name, seed):
    """Errors in the hidden cells."""
    hidden = hidden_cells(frame, pattern, seed)
    imputer = IMPUTERS[name](seed)
    with_gaps = frame.mask(hidden)
    filled = (imputer.fit(with_gaps) if hasattr(imputer, "fit") else imputer).impute(with_gaps)
    squares, wrong = [], []
    for j, column in enumerate(frame):
        cells = hidden[:, j]
        truth, guess = frame[column][cells], filled[column][cells]
        if is_number(frame[column]):
            off = (guess.to_numpy(dtype=float) - truth.to_numpy(dtype=float)) / frame[column].std()
            squares.append(np.square(off))
        else:
            wrong.append(guess.to_numpy(dtype=object) != truth.to_numpy(dtype=object))
    return {
        "numbers": float(np.sqrt(np.concatenate(squares).mean())) if squares else None,
        "categories": float(np.concatenate(wrong).mean()) if wrong else None,
    }


def sampler(name, frame, seed):
    """A function of a number of rows to a frame of them, fitted to a frame."""
    if name == "AdversarialAutoencoder":
        model = AdversarialAutoencoder(random_state=seed).fit(frame)
        return lambda n: model.sample(n, random_state=seed)
    if name == "GaussianCopula":
        from sdv.metadata import Metadata
        from sdv.single_table import GaussianCopulaSynthesizer

        kinds = {c: "numerical" if is_number(frame[c]) else "categorical" for c in frame}
        columns = {c: {"sdtype": kind} for c, kind in kinds.items()}
        metadata = Metadata.load_from_dict({"tables": {"table": {"columns": columns}}})
        model = GaussianCopulaSynthesizer(metadata)
        model.fit({"table": frame})

        def sample(n):
            made = model.sample(n)
            return made["table"] if isinstance(made, dict) else made

        return sample
    import ctgan

    model = getattr(ctgan, name)()
    model.set_random_state(seed)
    # Neither takes missing cells: numbers are filled with their mean, categories have one more.
    text = [c for c in frame if not is_number(frame[c])]
    filled = frame.assign(**{c: frame[c].astype(object).fillna("missing") for c in text})
    filled = filled.fillna({c: frame[c].mean() for c in frame if c not in text})
    model.fit(filled, text)
    return model.sample


def blocks(frame, like):
    """Numbers in standard deviations, and categories as blocks of 0 and 1, those of one table."""
    parts = []
    for name in like:
        if is_number(like[name]):
            parts.append(frame[name].to_numpy(dtype=float)[:, None] / (like[name].std() or 1))
        else:
            values = np.array(sorted(like[name].dropna().unique()), dtype=object)
            parts.append((frame[name].to_numpy(dtype=object)[:, None] == values) / np.sqrt(2))
    return np.concatenate(parts, axis=1)


def usefulness(made, train, test, target, seed):
    """Balanced accuracy on real rows after training on samples, and after training on rows."""
    text = [c for c in test if not is_number(test[c]) and c != target]
    known = {c: sorted(set(train[c].astype(str)) | set(test[c].astype(str))) for c in text}
    found = []
    for rows in (made, train):
        rows = rows.dropna(subset=[target])
        as_known = [
            part.assign(**{c: pd.Categorical(part[c].astype(str), known[c]) for c in text})
            for part in (rows, test)
        ]
        X, X_test = (part.drop(columns=target) for part in as_known)
        model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
        model.fit(X, rows[target].astype(str))
        found.append(balanced_accuracy_score(test[target].astype(str), model.predict(X_test)))
    return found[0] - found[1]


def quality(made, test):
    """The score of SDMetrics' quality report, in [0, 1]."""
    from sdmetrics.reports.single_table import QualityReport

    kinds = {c: "numerical" if is_number(test[c]) else "categorical" for c in test}
    report = QualityReport()
    metadata = {"columns": {c: {"sdtype": kind} for c, kind in kinds.items()}}
    report.generate(test, made, metadata, verbose=False)
    return report.get_score()


def synthesis(frame, target, name, seed):
    """How well samples pass for rows that were held out, what they are good for, and how new."""
    frame = frame.assign(**{target: frame[target].astype(str).where(frame[target].notna())})
    train, test = train_test_split(frame, test_size=0.5, random_state=seed)
    # Where gaps are cannot tell samples from rows: neither has any.
    test, known = (ByNumbers(SimpleImputer()).impute(half) for half in (test, train))
    made = sampler(name, train, seed)(len(test))[test.columns].reset_index(drop=True)
    if made.isna().any(axis=None):
        made = ByNumbers(SimpleImputer()).impute(made)
    both = pd.concat([test, made.astype(object)], ignore_index=True)
    for column in both:
        if is_number(frame[column]):
            both[column] = both[column].astype(float)
            made[column] = made[column].astype(float)
        else:
            both[column] = both[column].astype(str).astype("category")
            made[column] = made[column].astype(str)
    label = np.r_[np.zeros(len(test)), np.ones(len(made))]
    X_train, X_test, y_train, y_test = train_test_split(both, label, random_state=seed)
    classifier = HistGradientBoostingClassifier(
        categorical_features="from_dtype", random_state=seed
    )
    told = classifier.fit(X_train, y_train).predict_proba(X_test)[:, 1]
    auroc = float(roc_auc_score(y_test, told))
    near = [
        NearestNeighbors(n_neighbors=1).fit(blocks(half, frame)).kneighbors(blocks(made, frame))[0]
        for half in (known[: len(test)], test[: len(known)])
    ]
    return {
        "auroc": max(auroc, 1 - auroc),
        "quality": float(quality(made, test)),
        "usefulness": float(usefulness(made, known, test, target, seed)),
        "nearer": float(np.mean(near[0] < near[1]) + np.mean(near[0] == near[1]) / 2),
    }


def neighbor_scores(train, test):
    """Nearest neighbours, of tables that are filled in first."""
    scaler, imputer = StandardScaler().fit(train), KNNImputer()
    train, test = scaler.transform(train), scaler.transform(test)
    train = imputer.fit_transform(train)
    test = imputer.transform(test)
    return -NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0][:, -1]


def outliers(name, data, share, detector, seed):
    """AUROC of outliers with a share of the cells removed."""
    file = np.load(data / "adbench" / f"{name}.npz")
    X, y = file["X"].astype(float), file["y"].astype(int)
    rng = np.random.default_rng(seed)
    X = np.where(rng.random(X.shape) < share, np.nan, X)
    inliers = rng.permutation(np.flatnonzero(y == 0))
    train, rest = X[inliers[: len(inliers) // 2]], inliers[len(inliers) // 2 :]
    rest = np.r_[rest, np.flatnonzero(y == 1)]
    if detector == "nearest neighbours":
        scores = neighbor_scores(train, X[rest])
    else:
        cls = IsolationForest if detector == "IsolationForest" else AdversarialAutoencoder
        scores = cls(random_state=seed).fit(train).score_samples(X[rest])
    return {"auroc": float(roc_auc_score(y[rest] == 0, scores))}


def rare_class(frame, target, detector, seed):
    """AUROC of the rarest class of a table among rows of the others."""
    frame = frame.dropna(subset=[target]).reset_index(drop=True)
    y = (frame[target] == frame[target].value_counts().index[-1]).to_numpy()
    X = frame.drop(columns=target)
    rng = np.random.default_rng(seed)
    inliers = rng.permutation(np.flatnonzero(~y))
    rows, rest = inliers[: len(inliers) // 2], inliers[len(inliers) // 2 :]
    rest = np.r_[rest, np.flatnonzero(y)]
    if detector == "nearest neighbours":
        with_gaps = blocks(X, X)
        for j in np.flatnonzero(with_gaps.std(axis=0) == 0):
            with_gaps[:, j] = 0
        scores = neighbor_scores(with_gaps[rows], with_gaps[rest])
    elif detector == "IsolationForest":
        codes = X.apply(
            lambda c: c if is_number(c) else c.astype("category").cat.codes.replace(-1, np.nan)
        ).to_numpy(dtype=float)
        scores = IsolationForest(random_state=seed).fit(codes[rows]).score_samples(codes[rest])
    else:
        model = AdversarialAutoencoder(random_state=seed).fit(X.iloc[rows])
        scores = model.score_samples(X.iloc[rest])
    return {"auroc": float(roc_auc_score(~y[rest], scores))}


def plan(args, data):
    """Keys and functions of all runs, one seed after the other."""
    frames = {name: load(name, data, args.rows) for name in args.tables}
    for seed in range(args.seeds):
        for pattern in PATTERNS:
            for table, frame in frames.items():
                for name in IMPUTERS:
                    key = {"task": "imputation", "pattern": pattern, "table": table}
                    key |= {"method": name, "seed": seed}
                    yield key, partial(imputation, frame, pattern, name, seed)
        for share in (0.0, 0.1, 0.3):
            for table in ADBENCH:
                for name in ("AdversarialAutoencoder", "IsolationForest", "nearest neighbours"):
                    key = {"task": "outliers", "removed": share, "table": table}
                    key |= {"method": name, "seed": seed}
                    yield key, partial(outliers, table, data, share, name, seed)
        for table, frame in frames.items():
            for name in ("AdversarialAutoencoder", "IsolationForest", "nearest neighbours"):
                key = {"task": "rare class", "table": table, "method": name, "seed": seed}
                yield key, partial(rare_class, frame, TARGETS[table], name, seed)
        for table, frame in frames.items():
            for name in args.samplers:
                key = {"task": "samples", "table": table, "method": name, "seed": seed}
                yield key, partial(synthesis, frame, TARGETS[table], name, seed)


def means(rows, by, value):
    """Mean over seeds, then tables, of what all methods have been run on."""
    frame = pd.DataFrame(rows).dropna(subset=[value])
    keys = [*by, "table"]
    n_methods = frame["method"].nunique()
    complete = frame.groupby([*keys, "seed"])["method"].transform("nunique") == n_methods
    per_table = frame[complete].groupby([*keys, "method"])[value].mean()
    return per_table, per_table.groupby([*by, "method"]).mean()


def markdown(series, columns):
    """Lines of a table with one column for each value of the index level `columns`."""
    frame = series.unstack(columns)
    head = [*frame.index.names, *map(str, frame.columns)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for index, row in frame.iterrows():
        index = index if isinstance(index, tuple) else (index,)
        cells = [*map(str, index), *(f"{v:.3f}" if v == v else "" for v in row)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def said(series):
    """Values by name, the smallest first."""
    return ", ".join(f"{name} {value:.3f}" for name, value in series.sort_values().items())


def report(rows):
    """The tables of results/tables.md, of the runs that are there."""
    of_task = {
        task: [r for r in rows if r["task"] == task]
        for task in ("imputation", "outliers", "rare class", "samples")
    }
    lines = ["# Tables", ""]
    if of_task["imputation"]:
        lines += ["## Imputation of 20 % of the cells", ""]
        for value, what in (("numbers", "RMSE of numbers"), ("categories", "Wrong categories")):
            per_table, overall = means(of_task["imputation"], ["pattern"], value)
            lines += [f"{what}, mean over tables:", "", *markdown(overall, "method"), ""]
            lines += [f"{what}, by table:", "", *markdown(per_table, "method"), ""]
    if of_task["outliers"]:
        per_table, overall = means(of_task["outliers"], ["removed"], "auroc")
        lines += ["## Outliers, AUROC with cells removed", "", *markdown(overall, "method"), ""]
        lines += ["By table:", "", *markdown(per_table, "method"), ""]
    if of_task["rare class"]:
        per_table, overall = means(of_task["rare class"], [], "auroc")
        lines += ["## Outliers: the rarest class, AUROC", "", *markdown(per_table, "method"), ""]
        lines += [f"Means: {said(overall)}.", ""]
    if of_task["samples"]:
        for value, what in (
            ("auroc", "AUROC of a classifier that tells them from rows: the less the better"),
            ("quality", "SDMetrics' quality score: the more the better"),
            ("usefulness", "balanced accuracy after training on them, less that of rows"),
            ("nearer", "share nearer to the rows trained on than to others: 0.5 for new rows"),
        ):
            per_table, overall = means(of_task["samples"], [], value)
            lines += [f"## Samples, {what}", "", *markdown(per_table, "method"), ""]
            lines += [f"Means: {said(overall)}.", ""]
    seconds = pd.DataFrame(rows).groupby(["task", "method"])["seconds"].mean()
    lines += ["## Mean seconds of a run", "", *markdown(seconds, "method")]
    n_seeds = pd.DataFrame(rows).groupby("task")["seed"].nunique().to_dict()
    lines += ["", f"Seeds run: {n_seeds}."]
    return lines


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1000, help="of each table, at most")
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument(
        "--samplers",
        nargs="*",
        default=["AdversarialAutoencoder", "GaussianCopula", "CTGAN", "TVAE"],
    )
    args = parser.parse_args()
    results = Results(RESULTS / "tables.jsonl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results.complete(plan(args, args.data))
    results.write_table(report(results.rows))


if __name__ == "__main__":
    main()

"""Labels of rows: classes as ints from 0, unlabelled rows as -1, and back."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets


def encode_labels(
    y: Any, X: np.ndarray, estimator_name: str, *, allow_unlabelled: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Classes of y, sorted, and the position of each row's class among them, -1 for unlabelled.

    Raises
    ------
    ValueError
        If y is missing, of another length than X, holds NaN or no discrete classes, fewer than
        two of them, or marks unlabelled rows among labels that are not numbers.
    TypeError
        If labels are of types that have no order, such as None and strings.
    """
    if y is None:
        raise ValueError(
            f"{estimator_name} requires y to be passed, but the target y is None. Pass the class "
            "of each row" + (", -1 for unlabelled ones." if allow_unlabelled else ".")
        )
    labels = column_or_1d(y, warn=True)
    assert_all_finite(labels, input_name="y")
    check_consistent_length(X, labels)
    if labels.dtype.kind in "OUS" and any(label in (-1, "-1") for label in labels.tolist()):
        raise ValueError(
            f"y holds -1 among labels that are not numbers, of dtype {labels.dtype}. Encode the "
            "labels as ints first, for example with sklearn.preprocessing.LabelEncoder on the "
            "labelled rows, and then mark unlabelled rows with -1."
        )
    try:
        distinct = np.unique(labels)
    except TypeError as error:
        types = sorted({type(label).__name__ for label in labels.tolist()})
        raise TypeError(
            f"y holds labels of several types, which have no order: {', '.join(types)}. Give all "
            "labels one type; -1 among ints stands for unlabelled rows."
        ) from error
    check_classification_targets(labels)
    unlabelled = labels == -1 if labels.dtype.kind in "if" else np.zeros(len(labels), dtype=bool)
    if np.array_equal(distinct, [-1, 1]):
        # Two classes in their usual coding: from a single labelled class nothing could be learned.
        unlabelled[:] = False
    if unlabelled.any() and not allow_unlabelled:
        raise ValueError(
            f"y: {int(unlabelled.sum())} rows have the label -1, which stands for unlabelled; "
            f"{estimator_name} needs the class of every row. Leave these rows out, or encode the "
            "labels as ints from 0 if -1 is a class."
        )
    if unlabelled.all():
        raise ValueError(
            f"y holds no label: all {len(labels)} rows are -1, unlabelled. {estimator_name} needs "
            "labelled rows of at least two classes."
        )
    classes = np.unique(labels[~unlabelled])
    if len(classes) < 2:
        raise ValueError(
            f"{estimator_name} needs labelled rows of at least two classes, but y contains only "
            f"one class: {classes.tolist()[0]!r}."
        )
    positions = np.full(len(labels), -1)
    positions[~unlabelled] = np.searchsorted(classes, labels[~unlabelled])
    return classes, positions


def check_component_labels(y: Any, n_samples: int, n_classes: int) -> np.ndarray:
    """Labels for a prior with classes: ints from 0 to n_classes - 1, or -1 for unlabelled."""
    labels = np.asarray(y)
    if labels.shape != (n_samples,):
        raise ValueError(f"y must have shape (n_samples,) = ({n_samples},), got {labels.shape}.")
    valid = np.arange(-1, n_classes)
    try:
        unknown = np.setdiff1d(labels, valid)
    except TypeError:
        unknown = labels
    if len(unknown) or labels.dtype.kind not in "iufb":
        shown = unknown if len(unknown) else labels
        raise ValueError(
            "y holds labels that the prior has no component for: "
            f"{shown[:5].tolist()} of {labels.dtype}. With "
            f"n_classes={n_classes}, labels are ints from 0 to {n_classes - 1}, and -1 for "
            "unlabelled rows. Encode y, for example with LabelEncoder, or raise n_classes."
        )
    return labels.astype(np.int64)


def class_positions(y: Any, classes: np.ndarray, n_samples: int) -> np.ndarray:
    """Positions among `classes` of the labels y: one for all rows, or one for each.

    Raises
    ------
    ValueError
        If a label is not among the classes, or there are neither one nor n_samples of them.
    """
    labels = np.asarray(y)
    if labels.ndim == 0:
        labels = np.full(n_samples, labels[()])
    if labels.shape != (n_samples,):
        raise ValueError(
            f"y must be one class or have shape (n_samples,) = ({n_samples},), got {labels.shape}."
        )
    # Compared one by one: isin and searchsorted would take "1" for 1.
    matches = labels[:, None] == classes
    known = matches.any(axis=1)
    if not known.all():
        unseen = list(dict.fromkeys(labels[~known].tolist()))
        raise ValueError(
            f"y holds classes that fit has not seen: {unseen[:5]}. "
            f"Known classes: {classes.tolist()}."
        )
    return matches.argmax(axis=1)


def labelled_shares(
    positions: np.ndarray, n_classes: int, sample_weight: np.ndarray | None = None
) -> np.ndarray:
    """Shares of the classes (n_classes,) among labelled rows, by weight.

    Raises
    ------
    ValueError
        If no labelled row has a positive weight.
    """
    labelled = positions >= 0
    weight = np.ones(len(positions)) if sample_weight is None else sample_weight
    counts = np.bincount(positions[labelled], weight[labelled], minlength=n_classes)
    if not counts.any():
        raise ValueError(
            f"sample_weight: all {int(labelled.sum())} labelled rows have weight zero, so that no "
            "label would count. Give some of them a positive weight."
        )
    return counts / counts.sum()


def class_probabilities(
    class_prior: Any, n_classes: int, empirical: np.ndarray, *, all_labelled: bool
) -> np.ndarray | None:
    """Probability of each class (n_classes,) that the parameter `class_prior` stands for.

    None where it has to be found out: "auto", with rows that have no label. `empirical` are the
    shares among the labelled rows.

    Raises
    ------
    ValueError
        If an array has the wrong shape, a value that is negative or no number, or another sum than
        1.
    """
    if not isinstance(class_prior, str):
        return check_shares(
            "class_prior",
            class_prior,
            n_classes,
            f"one for each of the {n_classes} classes that have labels, in sorted order, "
            'or "auto", "uniform" or "empirical"',
        )
    if class_prior == "uniform":
        return np.full(n_classes, 1 / n_classes)
    return empirical if class_prior == "empirical" or all_labelled else None


def class_weights(
    class_weight: Any, classes: np.ndarray, empirical: np.ndarray
) -> np.ndarray | None:
    """Factor of the weight of labelled rows of each class, (n_classes,); None for all the same.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        As classifiers of scikit-learn have it.
    classes : ndarray of shape (n_classes,)
        Labels, sorted.
    empirical : ndarray of shape (n_classes,)
        Shares of the classes among the labelled rows, by weight.

    Raises
    ------
    ValueError
        If a weight is of no class, or is negative or no number, or no label would count.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        return 1 / np.where(empirical > 0, len(classes) * empirical, 1)
    unknown = [label for label in class_weight if not any(label == k for k in classes.tolist())]
    if unknown:
        raise ValueError(
            f"class_weight={class_weight!r} has weights of labels that are no classes: "
            f"{unknown[:5]}. Classes: {classes.tolist()}."
        )
    weights = [class_weight.get(k, 1.0) for k in classes.tolist()]
    numeric = all(isinstance(w, numbers.Real) and 0 <= float(w) < np.inf for w in weights)
    if not numeric or not np.any(empirical * weights):
        raise ValueError(
            "class_weight must have non-negative numbers as weights, of labelled classes not all "
            f"0, got {class_weight!r}."
        )
    return np.array(weights, dtype=np.float64)


def check_shares(name: str, shares: Any, n_classes: int, meaning: str) -> np.ndarray:
    """Shares (n_classes,) given as the parameter `name`, with the sum 1 to the last bit.

    Raises
    ------
    ValueError
        If there are not n_classes of them, one is negative or no number, or the sum is not 1.
    """
    try:
        p = np.asarray(shares)
    except ValueError:  # rows of unequal length
        p = np.asarray(None)
    problem = ""
    if p.dtype.kind not in "iuf":
        problem = f"which are no numbers, of dtype {p.dtype}"
    elif p.shape != (n_classes,):
        problem = f"of shape {p.shape}"
    elif not np.isfinite(p).all():
        problem = "of which some are not finite"
    elif (p < 0).any():
        problem = "of which some are negative"
    elif abs(p.sum() - 1) > 1e-6:
        problem = f"with sum {p.sum():.6g}"
    if problem:
        raise ValueError(
            f"{name} must be {n_classes} non-negative numbers with sum 1, {meaning}, got "
            f"{shares!r}, {problem}."
        )
    return p / p.sum()


def share_ratio(of: np.ndarray, over: np.ndarray) -> np.ndarray | None:
    """What class probabilities that hold for some shares, `over`, times it hold for others, `of`.

    1 for a class that has no share in one of them; None where the shares are the same.
    """
    both = (of > 0) & (over > 0)
    ratio = np.where(both, of, 1) / np.where(both, over, 1)
    return None if (ratio == 1).all() else ratio


def one_hot(positions: np.ndarray, n_classes: int, dtype: Any) -> np.ndarray:
    """Rows of the identity matrix, (n_samples, n_classes)."""
    return np.eye(n_classes, dtype=dtype)[positions]

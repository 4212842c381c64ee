"""Whether two samples can be told apart."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, clone, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import BaseCrossValidator, StratifiedKFold, check_cv, cross_val_score
from sklearn.utils import check_random_state

from sklearn_aae.metrics.checks import (
    FloatArray,
    centre,
    check_integer,
    check_option,
    check_positive,
    check_rows,
    check_same_columns,
    squared_distance_chunks,
)


def _kernel_sum(
    X: FloatArray, Y: FloatArray | None, kernel: Literal["imq", "rbf"], gamma: float
) -> float:
    """Sum of the kernel over all pairs of rows."""
    total = 0.0
    for _, chunk in squared_distance_chunks(X, Y):
        if kernel == "rbf":
            chunk *= -gamma
            np.exp(chunk, out=chunk)
        else:
            chunk *= gamma
            chunk += 1.0
            np.reciprocal(chunk, out=chunk)
        total += float(chunk.sum())
    return total


def maximum_mean_discrepancy(
    X: ArrayLike, Y: ArrayLike, *, kernel: Literal["imq", "rbf"] = "imq", gamma: float | None = None
) -> float:
    r"""Squared maximum mean discrepancy between two sets of rows, without bias.

    .. math::

        \frac{1}{n (n - 1)} \sum_{i \neq j} k(x_i, x_j)
        + \frac{1}{m (m - 1)} \sum_{i \neq j} k(y_i, y_j)
        - \frac{2}{n m} \sum_{i, j} k(x_i, y_j)

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        Rows of one set, at least 2.
    Y : array-like of shape (n_samples_Y, n_features)
        Rows of the other set, at least 2.
    kernel : {"imq", "rbf"}, default="imq"
        Inverse multiquadric ``1 / (1 + gamma * ||x - y||^2)``, whose heavy tails still tell far
        rows apart, or Gaussian ``exp(-gamma * ||x - y||^2)``.
    gamma : float, default=None
        Inverse of a squared length, positive. None takes one over the mean squared distance
        between two rows of X and Y put together, so that the result does not change with the units.
        Give a number when results are to be compared with each other, and one several times larger
        than the default to see shapes much thinner than the whole: rings, tight clusters.

    Returns
    -------
    discrepancy : float
        About zero, and as often below as above it, where the distributions are the same; at most 2.

    Raises
    ------
    TypeError
        If `gamma` is not a number.
    ValueError
        If an array has fewer than 2 rows, the numbers of columns differ, `kernel` is unknown, or
        `gamma` is not positive and finite.

    Notes
    -----
    For rows of a normal distribution with standard deviation s, the default `gamma` turns "imq"
    into the kernel of the Wasserstein autoencoder, C / (C + ||x - y||^2) with
    C = 2 * n_features * s^2. Distances are computed in chunks of
    `sklearn.get_config()["working_memory"]`.

    References
    ----------
    A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf, A. Smola, "A Kernel Two-Sample Test", 2012
    (lemma 6), https://jmlr.org/papers/v13/gretton12a.html

    I. Tolstikhin, O. Bousquet, S. Gelly, B. Schölkopf, "Wasserstein Auto-Encoders", 2018,
    https://arxiv.org/abs/1711.01558

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.metrics import maximum_mean_discrepancy
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 500, 2))
    >>> abs(maximum_mean_discrepancy(X, Y)) < 0.01
    True
    >>> maximum_mean_discrepancy(X, Y + 1.0) > 0.1
    True
    """
    check_option(kernel, "kernel", ("imq", "rbf"))
    way_out = "the unbiased estimate needs 2 rows; pass more"
    X = check_rows(X, "X", min_samples=2, way_out=way_out)
    Y = check_rows(Y, "Y", min_samples=2, way_out=way_out)
    check_same_columns(X, "X", Y, "Y")
    X, Y = centre(X, Y)
    if gamma is None:
        # Squares of very small or large values are not numbers; a power of two costs no digit.
        exponent = np.frexp(max(np.abs(X).max(), np.abs(Y).max()))[1]
        X, Y = (np.asarray(np.ldexp(rows, -exponent), dtype=np.float64) for rows in (X, Y))
        mean_squared_distance = 2.0 * np.vstack([X, Y]).var(axis=0, ddof=1).sum()
        # All rows equal: every kernel value is 1, whatever gamma.
        gamma = 1.0 / mean_squared_distance if mean_squared_distance > 0.0 else 1.0
    else:
        gamma = check_positive(gamma, "gamma")
    n, m = X.shape[0], Y.shape[0]
    # k(x, x) = 1 for both kernels.
    within_X = (_kernel_sum(X, None, kernel, gamma) - n) / (n * (n - 1))
    within_Y = (_kernel_sum(Y, None, kernel, gamma) - m) / (m * (m - 1))
    between = _kernel_sum(X, Y, kernel, gamma) / (n * m)
    return float(within_X + within_Y - 2.0 * between)


def classifier_two_sample_score(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    classifier: ClassifierMixin | None = None,
    cv: int | BaseCrossValidator | Iterable[Any] = 5,
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """How well a fresh classifier tells X from Y: cross-validated area under the ROC curve.

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        Rows of one set, at least as many as there are folds.
    Y : array-like of shape (n_samples_Y, n_features)
        Rows of the other set, at least as many as there are folds. No row may be a copy of a row of
        X: the classifier would meet it in training under the other label, and score below 0.5.
    classifier : estimator, default=None
        A scikit-learn classifier, cloned before it is fitted. None is
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier`, which needs no scaling and sees
        rings and mixtures from a few hundred rows. Where the sets differ in the correlations of
        many columns, a scaled :class:`~sklearn.neural_network.MLPClassifier` sees more.
    cv : int, cross-validation splitter or iterable, default=5
        An int, at least 2, is the number of shuffled, stratified folds.
    random_state : int, RandomState instance or None, default=None
        Seeds the shuffled folds and the default classifier. An int repeats the result.

    Returns
    -------
    score : float
        Mean over the folds, between 0 and 1. About 0.5: indistinguishable to this classifier. 1:
        fully separated.

    Raises
    ------
    TypeError
        If `classifier` is not a classifier.
    ValueError
        If an array has too few rows, the numbers of columns differ, or `cv` is below 2.

    References
    ----------
    D. Lopez-Paz, M. Oquab, "Revisiting Classifier Two-Sample Tests", 2017,
    https://arxiv.org/abs/1610.06545

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.metrics import classifier_two_sample_score
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 2))
    >>> classifier_two_sample_score(X, Y + 10.0, random_state=0)
    1.0
    """
    rng = check_random_state(random_state)
    min_samples, way_out = 2, "pass more rows"
    if isinstance(cv, Integral):
        min_samples = check_integer(cv, "cv", minimum=2)
        way_out = f"every fold needs a row of each set; pass more rows or lower cv={cv}"
    X = check_rows(X, "X", min_samples=min_samples, way_out=way_out)
    Y = check_rows(Y, "Y", min_samples=min_samples, way_out=way_out)
    check_same_columns(X, "X", Y, "Y")
    rows = np.vstack([X, Y])
    is_from_Y = np.repeat([0, 1], [X.shape[0], Y.shape[0]])
    # Rows come sorted by set, and often by time or class within it: without a shuffle a fold is
    # not like the others.
    if isinstance(cv, Integral):
        splitter = StratifiedKFold(cv, shuffle=True, random_state=rng.randint(2**31 - 1))
    else:
        splitter = check_cv(cv, is_from_Y, classifier=True)
    if classifier is None:
        # Mean AUROC on ring against normal, 1000 rows each: 0.93; a regularised perceptron 0.85,
        # 30 neighbours 0.93; on 200 rows each 0.83, 0.62, 0.73. Logistic regression: 0.5.
        fresh = HistGradientBoostingClassifier(random_state=rng.randint(2**31 - 1))
    elif hasattr(classifier, "fit") and is_classifier(classifier):
        fresh = clone(classifier)
    else:
        raise TypeError(
            f"classifier must be a scikit-learn classifier, got {classifier!r}: pass an estimator "
            "with predict_proba or decision_function, or None."
        )
    scores = cross_val_score(
        fresh, rows, is_from_Y, cv=splitter, scoring="roc_auc", error_score="raise"
    )
    return float(scores.mean())

"""What is known of all rows from few labels: three experts, and how far each is to be trusted.

An expert gives, for every row, the logarithm of how likely it is in each class, up to a constant.
Two are models of the labelled rows, one linear and one a wide network. The third is a graph of
nearest rows, along which labels spread. All of them also judge labelled rows whose own labels are
left out, which tells how good they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils import gen_batches

from sklearn_aae._rows.kernels import tangent_features
from sklearn_aae._rows.neighbors import spread_labels

# Parts of the labelled rows of a class, each of which is left out once.
_FOLDS = 10

# Rows that are left out at most, and that models are fitted to. It takes seconds for so many of 784
# columns, and more would hardly change which expert is the better one.
_MAX_LEFT_OUT = 2000

# Rows that are judged at a time: 32 MiB of the features of a wide network, at most.
_CHUNK = 2_000

# How likely rows are in a class whose labels do not reach them, in units of the mean over all rows.
# No graph is so good that it could rule a class out.
_FLOOR = 0.05

# What it costs in nats to move the weight of an expert by 1, times two. Chosen on ten tables with
# 5, 10 and 50 labels of each class: with a lower cost, chance moved the weights of few labels.
_PRECISION = 10.0

_TINY_SHARE = 1e-9


class Labels(NamedTuple):
    """Labels of the training rows, and which of them are left out together.

    Parameters
    ----------
    classes : ndarray of int, shape (n_rows,)
        From 0, -1 for unlabelled.
    folds : ndarray of int, shape (n_rows,)
        From 0, -1 for rows that are never left out.
    weight : ndarray of shape (n_rows,)
        Weights of the rows.
    n_classes : int
        Number of classes.
    """

    classes: np.ndarray
    folds: np.ndarray
    weight: np.ndarray
    n_classes: int

    @property
    def shares(self) -> np.ndarray:
        """Shares of the classes among the labelled rows, by weight, (n_classes,)."""
        labelled = self.classes >= 0
        counts = np.bincount(self.classes[labelled], self.weight[labelled], self.n_classes)
        return counts / counts.sum()

    @property
    def log_shares(self) -> np.ndarray:
        """Their logarithms; a class without labels is unlikely, and not impossible."""
        return np.log(np.maximum(self.shares, _TINY_SHARE))

    @property
    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Classes and weights of the rows that are left out, (n_left_out,)."""
        out = self.folds >= 0
        return self.classes[out], self.weight[out]

    @property
    def modelled(self) -> np.ndarray:
        """Positions of the labelled rows that models are fitted to."""
        # Of the rows that are never left out, those of a class that has no others.
        classes, out = self.classes, self.folds >= 0
        alone = (classes >= 0) & (self.weight > 0) & ~np.isin(classes, classes[out])
        return np.flatnonzero(out | alone)


class Expert(NamedTuple):
    """Logarithms of how likely rows are in each class, up to a constant for each row.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_classes)
        Of all rows.
    left_out : ndarray of shape (n_left_out, n_classes)
        Of rows that are left out, by the labels outside of their fold.
    """

    rows: np.ndarray
    left_out: np.ndarray


def divide(
    classes: np.ndarray, n_classes: int, sample_weight: np.ndarray | None, seed: int
) -> Labels:
    """Labels with folds, which have equally many rows of a class, or one more or less.

    The only row of a class is never left out: without it nothing would be known of the class.
    """
    weight = np.ones(len(classes)) if sample_weight is None else sample_weight.astype(np.float64)
    folds = np.full(len(classes), -1)
    random_state = np.random.RandomState(seed)
    for k in range(n_classes):
        own = random_state.permutation(np.flatnonzero((classes == k) & (weight > 0)))
        own = own[: max(2, _MAX_LEFT_OUT // n_classes)]
        if len(own) > 1:
            folds[own] = np.arange(len(own)) % _FOLDS
    return Labels(classes, folds, weight, n_classes)


def linear_expert(rows: Callable[[np.ndarray], np.ndarray], labels: Labels) -> Expert:
    """What logistic regression on labelled rows says.

    Parameters
    ----------
    rows : callable
        From positions to standardised rows, ndarray (n, n_features).
    labels : Labels
        Of all rows.
    """
    classes, folds, weight, n_classes = labels
    used = labels.modelled
    x, y, w, fold = rows(used), classes[used], weight[used], folds[used]
    model = _linear_model(x, y, w, n_classes)
    positions = np.arange(len(classes))
    chunks = [model(rows(positions[chunk])) for chunk in gen_batches(len(positions), _CHUNK)]
    left_out = np.zeros((len(used), n_classes))
    for k in range(fold.max() + 1):
        out = fold == k
        left_out[out] = _linear_model(x[~out], y[~out], w[~out], n_classes)(x[out])
    return Expert(np.concatenate(chunks), left_out[fold >= 0])


def network_expert(rows: Callable[[np.ndarray], np.ndarray], labels: Labels) -> Expert:
    """What a wide network says that has learned from labelled rows alone, and not by heart.

    Logistic regression with the neural tangent kernel: parameters as those of `linear_expert`.
    """
    return linear_expert(tangent_features(rows, labels.modelled), labels)


def _linear_model(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, n_classes: int
) -> Callable[[np.ndarray], np.ndarray]:
    """From rows to logarithms of how likely they are in each class; 0 for classes not in y."""
    counts = np.bincount(y, weight, n_classes)
    seen = np.flatnonzero(counts)
    if len(seen) < 2:
        return lambda points: np.zeros((len(points), n_classes))
    model = LogisticRegression(max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y, weight)

    def log_likelihood(points: np.ndarray) -> np.ndarray:
        logits = model.decision_function(points).astype(np.float64)
        if logits.ndim == 1:  # of the second of two classes
            logits = np.column_stack([np.zeros(len(points)), logits])
        said = np.zeros((len(points), n_classes))
        said[:, seen] = log_softmax(logits, axis=1) - np.log(counts[seen] / counts.sum())
        return said

    return log_likelihood


def graph_expert(graph: csr_array, labels: Labels) -> Expert:
    """What labels say that have spread along a graph of nearest rows.

    Parameters
    ----------
    graph : csr_array of shape (n_rows, n_rows)
        Weights of the edges, symmetric.
    labels : Labels
        Of all rows.
    """
    classes, folds, weight, n_classes = labels
    of_folds = [
        spread_labels(graph, np.where(folds == k, classes, -1), n_classes, weight)
        for k in range(-1, folds.max() + 1)
    ]
    arrived = np.sum(of_folds, axis=0)
    # What cannot be checked is taken as it is.
    floor = _FLOOR if (folds >= 0).any() else np.finfo(float).tiny

    def log_likelihood(arrived: np.ndarray) -> np.ndarray:
        # What arrives of a class in all is no more for a class that has more labels, or whose
        # labels lie where rows are dense.
        mean = weight @ arrived / weight.sum()
        return np.log(arrived / np.where(mean > 0, mean, 1) + floor)

    left_out = np.zeros((len(classes), n_classes))
    for k, of_fold in enumerate(of_folds[1:]):
        left_out[folds == k] = log_likelihood(arrived - of_fold)[folds == k]
    return Expert(log_likelihood(arrived), left_out[folds >= 0])


def pooled(models: Sequence[Expert], graph: Expert | None, labels: Labels) -> tuple[Expert, float]:
    """All experts as one, and from 0 to 1 how much neighbours tell.

    Neighbours tell as much as the graph takes away of the uncertainty of left-out labels, in nats,
    times the probability that it is the best expert (by pseudo-Bayes factors, Geisser and Eddy,
    1979). The logarithms of the experts are added (a logarithmic opinion pool) with these as
    weights, the models taking the rest by their own factors, once they are moved to where left-out
    labels are likely (stacking, Wolpert, 1992). Where no class has two labels none can be left out,
    and the graph is believed, as by those who choose to spread labels.

    Parameters
    ----------
    models : sequence of Expert
        Models of the labelled rows.
    graph : Expert or None
        Spread labels; None where none have spread.
    labels : Labels
        Of all rows.

    Returns
    -------
    both : Expert
    neighbors : float
        1 without a graph, of which nobody has asked.

    References
    ----------
    Geisser and Eddy (1979), "A predictive approach to model selection",
    https://doi.org/10.1080/01621459.1979.10481632

    Wolpert (1992), "Stacked generalization", https://doi.org/10.1016/S0893-6080(05)80023-1
    """
    y, w = labels.left_out
    if graph is not None and not len(y):
        return graph, 1.0
    evidence = np.array([_log_likelihood(expert, labels) for expert in models])
    start, experts, neighbors = softmax(evidence), list(models), 1.0
    if graph is not None:
        of_nothing = float(w @ labels.log_shares[y])
        of_graph = _log_likelihood(graph, labels)
        # An expert without a weight says nothing, so that it is never worse than that.
        told = 0.0 if of_nothing == 0 else max(1 - of_graph / of_nothing, 0.0)
        neighbors = float(softmax([of_graph, *evidence])[0]) * told
        start, experts = np.append((1 - neighbors) * start, neighbors), [*experts, graph]
    weights = _best_weights(experts, labels, start, _PRECISION)
    rows, left_out = (
        sum(a * said for a, said in zip(weights, of_experts, strict=True))
        for of_experts in zip(*experts, strict=True)
    )
    return Expert(rows, left_out), neighbors


def _log_likelihood(expert: Expert, labels: Labels) -> float:
    """Of left-out labels, with the expert as sure of itself as suits it best."""
    (weight,) = _best_weights([expert], labels, (1.0,), 0.0)
    y, w = labels.left_out
    log_p = log_softmax(labels.log_shares + weight * expert.left_out, axis=1)
    return float(w @ log_p[np.arange(len(y)), y])


def _best_weights(
    experts: Sequence[Expert], labels: Labels, start: Sequence[float], precision: float
) -> np.ndarray:
    """Non-negative weights of experts, (n_experts,), that make left-out labels most likely."""
    y, w = labels.left_out
    own, log_shares, center = np.arange(len(y)), labels.log_shares, np.array(start)
    said = np.stack([expert.left_out for expert in experts])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        log_p = log_softmax(log_shares + np.tensordot(weights, said, axes=1), axis=1)
        expected = (np.exp(log_p) * said).sum(axis=2)
        moved = weights - center
        value = -w @ log_p[own, y] + precision / 2 * moved @ moved
        return value, -(said[:, own, y] - expected) @ w + precision * moved

    # A weight without bound is one of an expert that is right every time.
    bounds = [(0, 10)] * len(experts)
    return minimize(loss, center, jac=True, bounds=bounds, method="L-BFGS-B").x

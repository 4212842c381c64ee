"""Clusters against classes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import check_array, check_consistent_length

from sklearn_aae.metrics.checks import check_labels, check_option


def clustering_error(
    y_true: ArrayLike,
    labels: ArrayLike,
    *,
    rule: Literal["majority", "hungarian", "representative"] = "majority",
    probabilities: ArrayLike | None = None,
) -> float:
    """Share of rows whose cluster is named after another class.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes. Any value counts as one, also the -1 that stands for "unlabelled" elsewhere: leave
        such rows out.
    labels : array-like of shape (n_samples,)
        Clusters. With ``rule="representative"`` integers from 0 to n_clusters - 1 that number the
        columns of `probabilities`.
    rule : {"majority", "hungarian", "representative"}, default="majority"
        How a cluster gets its name:

        - "majority": after its most frequent class. Several clusters may share a class, so the
          error falls as clusters are added; it is one minus the purity.
        - "hungarian": one cluster per class, matched for the fewest errors. Rows of clusters left
          without a class are errors.
        - "representative": after the class of the one row that is most probable in the cluster
          (the first of several), as in the adversarial autoencoders paper. The paper picks that row
          in a validation set; here it comes from the rows that are scored.
    probabilities : array-like of shape (n_samples, n_clusters), default=None
        Probability of each cluster for the same rows. Needed by "representative" and not looked at
        by the other rules.

    Returns
    -------
    error : float
        Between 0 and 1. Errors under different rules or numbers of clusters are not comparable.

    Raises
    ------
    ValueError
        If the lengths differ, there are no rows, `rule` is unknown, or "representative" lacks
        probabilities for its labels.

    References
    ----------
    A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow, B. Frey, "Adversarial Autoencoders", 2015
    (section 6, the rule "representative"), https://arxiv.org/abs/1511.05644

    H. W. Kuhn, "The Hungarian method for the assignment problem", 1955,
    https://doi.org/10.1002/nav.3800020109

    Examples
    --------
    Two clusters for class "a": fine by majority, half lost when a class may have only one.

    >>> from sklearn_aae.metrics import clustering_error
    >>> y_true, labels = ["a", "a", "a", "a", "b", "b", "b", "b"], [0, 0, 1, 1, 2, 2, 2, 2]
    >>> clustering_error(y_true, labels)
    0.0
    >>> clustering_error(y_true, labels, rule="hungarian")
    0.25
    """
    check_option(rule, "rule", ("majority", "hungarian", "representative"))
    y_true, labels = check_labels(y_true, "y_true"), check_labels(labels, "labels")
    check_consistent_length(y_true, labels)
    if rule == "representative":
        return _representative_error(y_true, labels, probabilities)
    counts = contingency_matrix(y_true, labels)
    if rule == "majority":
        n_correct = counts.max(axis=0).sum()
    else:
        n_correct = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return float(1.0 - n_correct / y_true.shape[0])


def _representative_error(
    y_true: NDArray[Any], labels: NDArray[Any], probabilities: ArrayLike | None
) -> float:
    if probabilities is None:
        raise ValueError(
            "rule='representative' needs probabilities of shape (n_samples, n_clusters), got None: "
            "pass the predict_proba of the clusterer, or use rule='majority'."
        )
    p = check_array(probabilities, dtype=np.float64, input_name="probabilities")
    check_consistent_length(y_true, p)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "rule='representative' needs integer labels that number the columns of probabilities, "
            f"got labels of dtype {labels.dtype}: pass the argmax of probabilities."
        )
    if labels.min() < 0 or labels.max() >= p.shape[1]:
        raise ValueError(
            f"labels must lie between 0 and {p.shape[1] - 1}, the columns of probabilities, got "
            f"values from {labels.min()} to {labels.max()}: pass the argmax of probabilities."
        )
    name_of_cluster = y_true[p.argmax(axis=0)]
    return float(np.mean(name_of_cluster[labels] != y_true))

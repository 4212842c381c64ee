"""Groups of like rows, whose means stand for them where no single row may be kept.

Microaggregation (Domingo-Ferrer and Mateo-Sanz, 2002, "Practical data-oriented microaggregation for
statistical disclosure control"): a mean of several rows tells about all of them and about none. The
groups are those of k-means; a group too small to hide its rows goes to the nearest one that is not.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin

# Rows that a mean stands for at least, where there are as many, and on average. Scores by means of
# 20 rows rank outliers as well as those of 5, 10 and 40, or better.
MIN_ROWS = 5
_ROWS_PER_GROUP = 20

# Further steps of k-means move few rows.
_MAX_ITER = 30


def group_rows(rows: np.ndarray, n_groups: int, random_state: np.random.RandomState) -> np.ndarray:
    """Number of the group of each row, (n_samples,), from 0 and without gaps.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_columns)
    n_groups : int
        How many at most; one for 20 rows where these would be fewer.
    random_state : RandomState
        Of the start of k-means.
    """
    n_groups = max(1, min(n_groups, len(rows) // _ROWS_PER_GROUP))
    means = KMeans(n_groups, n_init=1, max_iter=_MAX_ITER, random_state=random_state)
    with warnings.catch_warnings():
        # Fewer distinct rows than groups make fewer groups.
        warnings.simplefilter("ignore", ConvergenceWarning)
        groups = means.fit_predict(rows)
    while True:
        _, groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        small = np.flatnonzero(sizes < MIN_ROWS)
        if len(small) == 0 or len(sizes) == 1:
            return groups
        large = np.flatnonzero(sizes >= MIN_ROWS)
        if len(large) == 0:
            return np.zeros(len(rows), dtype=np.intp)
        alone = np.flatnonzero(np.isin(groups, small))
        nearest = pairwise_distances_argmin(rows[alone], group_means(rows, groups)[large])
        groups[alone] = large[nearest]


def group_means(
    rows: np.ndarray, groups: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Mean of the rows of each group, (n_groups, n_columns)."""
    weights = np.ones(len(rows)) if weights is None else weights
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    sums = np.add.reduceat(weights[order, None] * rows[order], starts)
    return sums / np.add.reduceat(weights[order], starts)[:, None]

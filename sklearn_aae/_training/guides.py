"""What a graph of the training rows tells before the training: which of them belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import softmax

from sklearn_aae._rows.batches import Rows
from sklearn_aae._rows.experts import (
    Expert,
    Labels,
    divide,
    graph_expert,
    linear_expert,
    network_expert,
    pooled,
)
from sklearn_aae._rows.neighbors import nearest_rows, shared_neighbors, spectral_partition
from sklearn_aae._rows.shares import estimate_shares, reliability


class Evidence(NamedTuple):
    """What labels and a graph of the rows tell the parts of a training.

    Parameters
    ----------
    class_prior : ndarray of shape (n_classes,)
        Shares of the classes among all rows.
    labelled_shares : ndarray of shape (n_classes,)
        Shares among labelled rows, for which the target "guide" holds.
    neighbors : float
        From 0 to 1, how much neighbours tell of the classes.
    """

    class_prior: np.ndarray
    labelled_shares: np.ndarray
    neighbors: float


@dataclass(frozen=True)
class Propagation:
    """What few labels tell of the class of every row, as its target "guide".

    Labels spread along the graph, and models of the labelled rows stand beside it.

    Parameters
    ----------
    n_neighbors : int
        Nearest rows of a row, at most half as many as a class has on average.
    n_classes : int
        Number of classes.
    class_prior : ndarray of shape (n_classes,) or None
        Shares of the classes among all rows; None: to be found out.
    spreads : bool
        Whether labels spread; if not, the models speak alone, of nothing but the shares.
    """

    n_neighbors: int
    n_classes: int
    class_prior: np.ndarray | None
    spreads: bool

    def __call__(
        self,
        rows: Rows,
        labels: np.ndarray | None,
        sample_weight: np.ndarray | None,
        seed: int,
        continued: bool,
    ) -> Evidence | None:
        if labels is None:
            return None
        known = divide(labels, self.n_classes, sample_weight, seed)
        models = [model(_standardized(rows), known) for model in (linear_expert, network_expert)]
        nearest, spread = None, None
        if self.spreads:
            nearest = _nearest_of(rows, self.n_neighbors, self.n_classes, sample_weight, seed)
        if nearest is not None:
            spread = graph_expert(shared_neighbors(nearest, _counting(sample_weight)), known)
        expert, neighbors = pooled(models, spread, known)
        if self.spreads:
            guide = softmax(known.log_shares + expert.rows, axis=1)
            rows.add_target("guide", guide.astype(np.float32))
        # To two digits, as well as it is known: what counts less than that need not be computed.
        return Evidence(self._class_prior(expert, known), known.shares, round(neighbors, 2))

    def _class_prior(self, expert: Expert, known: Labels) -> np.ndarray:
        """Shares of the classes among all rows: counted where rows are labelled, else found out."""
        if self.class_prior is not None:
            return self.class_prior
        y, weight = known.left_out
        certainty = reliability(known.log_shares + expert.left_out, y, weight)
        unlabelled = known.classes < 0
        weight, rest = known.weight, known.weight[unlabelled].sum()
        if rest == 0:
            return known.shares
        log_p = known.log_shares + expert.rows[unlabelled]
        shares = estimate_shares(log_p, known.shares, weight[unlabelled], certainty)
        return known.shares + (shares - known.shares) * (rest / weight.sum())


@dataclass(frozen=True)
class Partition:
    """Neighbours of every row, and a partition of their graph as the target "guide".

    Parameters
    ----------
    n_neighbors : int
        Nearest rows of a row, at most half as many as a cluster has on average.
    n_clusters : int
        Parts.
    shares : ndarray of shape (n_clusters,) or None
        Shares that the parts should have: a larger part gets the number of a larger share. None
        where they are those of the partition, which are returned.
    """

    n_neighbors: int
    n_clusters: int
    shares: np.ndarray | None

    def __call__(
        self,
        rows: Rows,
        labels: np.ndarray | None,
        sample_weight: np.ndarray | None,
        seed: int,
        continued: bool,
    ) -> np.ndarray | None:
        rows.neighbors = _nearest_of(rows, self.n_neighbors, self.n_clusters, sample_weight, seed)
        # A training that goes on has clusters, and a partition would number them anew.
        if rows.neighbors is None or continued:
            return None
        graph = shared_neighbors(rows.neighbors, _counting(sample_weight))
        partition = spectral_partition(graph, self.n_clusters, seed)
        weight = np.ones(len(rows)) if sample_weight is None else sample_weight.astype(np.float64)
        sizes = partition.T.astype(np.float64) @ weight
        if self.shares is not None and not (self.shares == self.shares[0]).all():
            numbers = np.empty(self.n_clusters, dtype=int)
            numbers[np.argsort(self.shares, kind="stable")] = np.argsort(sizes, kind="stable")
            partition = partition[:, numbers]
        rows.add_target("guide", partition)
        if self.shares is not None:
            return None
        # As if each part had one row more: a part without rows may still be found.
        return (sizes + 1) / (sizes + 1).sum()


def _nearest_of(
    rows: Rows, n_neighbors: int, n_classes: int, sample_weight: np.ndarray | None, seed: int
) -> np.ndarray | None:
    """Nearest training rows of each, at most half as many as a class has on average."""
    counting = _counting(sample_weight)
    n = len(rows) if counting is None else len(counting)
    # Where all rows are neighbours of each other, they are of one class.
    n_neighbors = max(1, min(int(n_neighbors), n // (2 * n_classes)))
    return nearest_rows(_standardized(rows), len(rows), n_neighbors, seed, counting)


def _standardized(rows: Rows) -> Callable[[np.ndarray], np.ndarray]:
    """From positions to standardised rows on the CPU."""

    def standardized(positions: np.ndarray) -> np.ndarray:
        x, _ = rows[torch.from_numpy(positions).to(rows.index_device)]
        return x.nan_to_num(0.0).cpu().numpy()  # missing cells count as at the centre

    return standardized


def _counting(sample_weight: np.ndarray | None) -> np.ndarray | None:
    """Rows of weight zero teach nothing, as neighbours neither."""
    return None if sample_weight is None else np.flatnonzero(sample_weight)

"""What a graph of the training rows tells before the training: which of them belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sklearn_aae._rows.batches import Rows
from sklearn_aae._rows.neighbors import (
    nearest_rows,
    shared_neighbors,
    spectral_partition,
    spread_labels,
)


@dataclass(frozen=True)
class Propagation:
    """Labels spread from labelled rows along the graph, as the target "guide" of every row.

    Parameters
    ----------
    n_neighbors : int
        Nearest rows of a row, at most half as many as a class has on average.
    class_prior : ndarray of shape (n_classes,)
        Shares of the classes among all rows.
    """

    n_neighbors: int
    class_prior: np.ndarray

    def __call__(
        self,
        rows: Rows,
        labels: np.ndarray | None,
        sample_weight: np.ndarray | None,
        seed: int,
        continued: bool,
    ) -> None:
        if rows.labelled is None or labels is None:
            return
        n_classes = len(self.class_prior)
        nearest = _nearest_of(rows, self.n_neighbors, n_classes, sample_weight, seed)
        if nearest is not None:
            graph = shared_neighbors(nearest, _counting(sample_weight))
            spread = spread_labels(graph, labels, self.class_prior, sample_weight)
            rows.add_target("guide", spread)


@dataclass(frozen=True)
class Partition:
    """Neighbours of every row, and a partition of their graph as the target "guide".

    Parameters
    ----------
    n_neighbors : int
        Nearest rows of a row, at most half as many as a cluster has on average.
    n_clusters : int
        Parts.
    """

    n_neighbors: int
    n_clusters: int

    def __call__(
        self,
        rows: Rows,
        labels: np.ndarray | None,
        sample_weight: np.ndarray | None,
        seed: int,
        continued: bool,
    ) -> None:
        rows.neighbors = _nearest_of(rows, self.n_neighbors, self.n_clusters, sample_weight, seed)
        # A training that goes on has clusters, and a partition would number them anew.
        if rows.neighbors is not None and not continued:
            graph = shared_neighbors(rows.neighbors, _counting(sample_weight))
            rows.add_target("guide", spectral_partition(graph, self.n_clusters, seed))


def _nearest_of(
    rows: Rows, n_neighbors: int, n_classes: int, sample_weight: np.ndarray | None, seed: int
) -> np.ndarray | None:
    """Nearest training rows of each, at most half as many as a class has on average."""

    def standardized(positions: np.ndarray) -> np.ndarray:
        x, _ = rows[torch.from_numpy(positions).to(rows.index_device)]
        return x.cpu().numpy()

    counting = _counting(sample_weight)
    n = len(rows) if counting is None else len(counting)
    # Where all rows are neighbours of each other, they are of one class.
    n_neighbors = max(1, min(int(n_neighbors), n // (2 * n_classes)))
    return nearest_rows(standardized, len(rows), n_neighbors, seed, counting)


def _counting(sample_weight: np.ndarray | None) -> np.ndarray | None:
    """Rows of weight zero teach nothing, as neighbours neither."""
    return None if sample_weight is None else np.flatnonzero(sample_weight)

"""Nearest rows of the training set, for the terms that compare a row with its neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

__all__ = ["nearest_rows"]

# Distances of wide rows are taken between their principal components, which takes less time. Of the
# ten nearest of 60,000 MNIST images by 50 components, 96 % are of the same digit.
_MAX_COLUMNS = 50

# Rows that the principal components are fitted to, evenly spaced.
_ROWS_FOR_COMPONENTS = 10_000

# Distances that are computed at most: of 60,000 rows to each other. Of more rows, each is compared
# with a random sample of them, so that the time grows with the number of rows and not its square.
_MAX_DISTANCES = 3_600_000_000

_CHUNK = 10_000


def nearest_rows(
    rows: Callable[[np.ndarray], np.ndarray],
    n_rows: int,
    n_neighbors: int,
    seed: int,
    counting: np.ndarray | None = None,
) -> np.ndarray | None:
    """Positions of the nearest rows of each row, itself left out.

    Parameters
    ----------
    rows : callable
        From positions to standardised rows, ndarray (n, n_features) of float32.
    n_rows : int
        Number of rows.
    n_neighbors : int
        Neighbours of a row; fewer where there are fewer rows.
    seed : int
        Decides which rows may be neighbours where there are too many for all of them.
    counting : ndarray of int, default=None
        Rows that may be neighbours; None for all.

    Returns
    -------
    positions : ndarray of int, shape (n_rows, min(n_neighbors, n_candidates - 1)), or None
        None where a single row counts.
    """
    candidates = np.arange(n_rows) if counting is None else counting
    sample = rows(candidates[:: max(1, len(candidates) // _ROWS_FOR_COMPONENTS)])
    components = None
    if sample.shape[1] > _MAX_COLUMNS and len(sample) > _MAX_COLUMNS:
        # Exact, whatever the seed.
        components = PCA(_MAX_COLUMNS, svd_solver="covariance_eigh").fit(sample)

    def points(positions: np.ndarray) -> np.ndarray:
        x = rows(positions)
        return x if components is None else components.transform(x)

    everything = np.arange(n_rows)
    n_candidates = max(_MAX_DISTANCES // n_rows, 10 * n_neighbors)
    if n_candidates < len(candidates):
        random_state = np.random.RandomState(seed)
        candidates = np.sort(random_state.permutation(candidates)[:n_candidates])
    n_neighbors = min(n_neighbors, len(candidates) - 1)
    if n_neighbors < 1:
        return None
    in_chunks = [points(candidates[c]) for c in gen_batches(len(candidates), _CHUNK)]
    search = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(np.concatenate(in_chunks))
    nearest = np.empty((n_rows, n_neighbors), dtype=np.int64)
    for chunk in gen_batches(n_rows, _CHUNK):
        found = candidates[search.kneighbors(points(everything[chunk]), return_distance=False)]
        # Stable: those that are not the row itself keep their order and come first.
        itself = found == everything[chunk, None]
        order = np.argsort(itself, axis=1, kind="stable")[:, :n_neighbors]
        nearest[chunk] = np.take_along_axis(found, order, axis=1)
    return nearest

"""The whole of a table, as a row sees it: how far it lies from the centre of most rows.

A row's features are its columns and the length of its residual, (x, |r|). Their mean and covariance
are those of the three quarters of the rows that lie nearest, by concentration steps (Rousseeuw and
Van Driessen, 1999) from those nearest to the median, so that outliers among the training rows do
not make room for themselves; the covariance is shrunk towards a sphere as far as its own noise asks
for (Chen, Wiesel, Eldar and Hero, 2010, "Shrinkage algorithms for MMSE covariance estimation").

Columns that share a range, such as pixels, are measured in one unit: there the relative spread of
columns is information that whitening would wipe out, and the distance is that from the centre, in
the metric of the neighbours.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dtrmm

# Half of the rows bear the most outliers and three quarters cost less where there are none.
_KEPT = 0.75
_STEPS = 3


def row_features(x: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Columns and length of the residual, side by side, (n_samples, n_features + 1)."""
    return np.concatenate([x, _lengths(residual)[:, None]], axis=1)


def fit_whitening(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (p,) and lower triangle W (p, p), by which most rows are white: W (f - centre).

    Parameters
    ----------
    features : ndarray of shape (n_samples, p)
    weights : ndarray of shape (n_samples,)
        Non-negative, with sum 1.
    """
    kept = _nearest_to_median(features, weights)
    for _ in range(_STEPS):
        center, whitening = _whitening(features[kept], weights[kept])
        kept = _nearest(whitened_distances(features, center, whitening), weights)
    return _whitening(features[kept], weights[kept])


def fit_center(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean (p,) of the rows that lie nearest to the median."""
    kept = _nearest_to_median(features, weights)
    return weights[kept] @ features[kept] / weights[kept].sum()


def _nearest_to_median(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Which rows are the nearest to the median of the columns.

    A start that a tenth of the rows in one place do not move, as they move mean and covariance.
    """
    median = np.quantile(features, 0.5, axis=0, weights=weights, method="inverted_cdf")
    return _nearest(whitened_distances(features, median, None), weights)


def _nearest(distances: np.ndarray, weights: np.ndarray) -> np.ndarray:
    limit = np.quantile(distances, _KEPT, weights=weights, method="inverted_cdf")
    return distances <= limit


def _whitening(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p = features.shape[1]
    share = weights / weights.sum()
    center = share @ features
    difference = features - center
    covariance = (share[:, None] * difference).T @ difference
    scale = np.trace(covariance) / p
    n = 1 / np.square(share).sum()  # rows of equal weight that tell as much
    # Chen et al. (2010), equation 23.
    squares = np.square(covariance).mean()
    bound = (n + 1) * (squares - scale**2 / p)
    shrinkage = min(1.0, (squares + scale**2) / bound) if bound > 0 else 1.0
    covariance *= 1 - shrinkage
    # Something is left in each direction, also where nothing varies at all.
    covariance.flat[:: p + 1] += shrinkage * scale + 1e-6 * scale + 1e-9
    lower = np.linalg.cholesky(covariance)
    return center, solve_triangular(lower, np.eye(p), lower=True)


def whitened_distances(
    features: np.ndarray, center: np.ndarray, whitening: np.ndarray | None
) -> np.ndarray:
    """Distances (n_samples,) from the centre, without a whitening as they are."""
    difference = features - center
    if whitening is None:
        return _lengths(difference)
    distances = _whitened_lengths(difference, whitening)
    # Squares of what is very far overflow.
    far = np.flatnonzero(~np.isfinite(distances))
    if len(far) > 0:
        largest = np.abs(difference[far]).max(axis=1)
        scaled = difference[far] / largest[:, None]
        distances[far] = largest * _whitened_lengths(scaled, whitening)
    return distances


def _whitened_lengths(difference: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    # BLAS goes by columns; of a triangle it computes half of the products.
    with np.errstate(over="ignore", invalid="ignore"):
        white = dtrmm(1.0, whitening.T, difference.T, trans_a=1).T
        return np.sqrt(np.einsum("ij,ij->i", white, white))


def _lengths(rows: np.ndarray) -> np.ndarray:
    """Lengths (n_samples,) of rows (n_samples, n_columns)."""
    with np.errstate(over="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    far = np.flatnonzero(np.isinf(lengths))
    if len(far) > 0:
        largest = np.abs(rows[far]).max(axis=1)
        lengths[far] = largest * np.linalg.norm(rows[far] / largest[:, None], axis=1)
    return lengths

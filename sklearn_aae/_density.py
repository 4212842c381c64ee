"""Density of rows on top of a trained autoencoder: nearest neighbours among decoded and residual.

A row x, in standardised units, is split by the autoencoder into its decoding and its residual,
x = g(f(x)) + r. Two rows are as far apart as

    D²(a, b) = |g(f(a)) - g(f(b))|² + (n_features / n_components) |r_a - r_b|²,

along the manifold, in the metric that the decoder gives to codes, and off it, with equal weight for
each degree of freedom. With rho² the mean of D² over the k nearest of m reference rows, the density
estimate of Loftsgaarden and Quesenberry (1965) is

    log p(x) = log(k / m) - log V_d - (d / 2) log rho² + (d - c) / 2 log(d / c),

where V_d is the volume of the unit ball in d = n_features dimensions and c = n_components. The last
term is the volume that the weight gives to the d - c directions off the manifold: it makes scores
of codes of different sizes comparable. The decoder's metric enters through the distances, so there
is no Jacobian to compute; the tails grow without bound and without cliffs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

__all__ = [
    "MAX_REFERENCES",
    "Density",
    "column_contributions",
    "fit_density",
    "log_density",
    "neighbor_distances",
]

# A sample of this size finds neighbours nearly as good as all rows do, and bounds memory and time.
MAX_REFERENCES = 2000

# Neighbours: 5 to 20 were within 0.01 in mean AUROC of each other, fewer being better where the
# training rows are clean and more where they hold outliers.
_N_NEIGHBORS = 10

# A small far-away group of outliers among the references must not vouch for itself: at this share
# of the references as neighbours it has to look outside the group.
_GROUP = 0.05

# Added to rho² for each column: copies of a reference row get a finite density. It is no less than
# what rounding makes of float32 values: columns may be far from zero and not scaled.
_EPSILON = 1e-6
_ROUNDING = 4 * float(np.finfo(np.float32).eps)

# Squares of anything further out than this would overflow.
_FURTHEST = 1e150


class Density(NamedTuple):
    """Reference rows and what goes with them.

    `references` holds the decoding and the weighted residual of each row side by side, an array
    (n_references, 2 * n_features); `residual_scale` is the square root of the residual's weight,
    and `epsilon` is added to rho² for each column.
    """

    references: np.ndarray
    residual_scale: float
    n_neighbors: int
    epsilon: float


def _joined(decoded: np.ndarray, residual: np.ndarray, residual_scale: float) -> np.ndarray:
    joined = np.concatenate([decoded, residual_scale * residual], axis=1)
    return joined.clip(-_FURTHEST, _FURTHEST, out=joined)


def fit_density(decoded: np.ndarray, residual: np.ndarray, n_components: int) -> Density:
    """Density with the given rows as references, less those that lie far from most.

    Parameters
    ----------
    decoded, residual : ndarray of shape (n_references, n_features)
        Split of reference rows in standardised units, float64.
    n_components : int
        Width of the code.
    """
    n_references, n_features = decoded.shape
    scale = math.sqrt(n_features / n_components)
    references = _joined(decoded, residual, scale)
    k = min(_N_NEIGHBORS, n_references)
    wide = max(k, math.ceil(_GROUP * n_references))
    distance = NearestNeighbors(n_neighbors=wide, algorithm="brute").fit(references)
    squares = np.square(distance.kneighbors(references)[0]).mean(axis=1)
    epsilon = max(_EPSILON, (_ROUNDING * float(np.abs(references).max())) ** 2)
    log_squares = np.log(squares + epsilon * n_features)
    median, upper = np.quantile(log_squares, [0.5, 0.75])
    # Three robust standard deviations; 0.6745 is the upper quartile of the standard normal.
    kept = log_squares <= median + 3 * (upper - median) / 0.6745 + 1e-9
    return Density(references[kept], scale, min(k, int(kept.sum())), epsilon)


def _nearest(density: Density, queries: np.ndarray, *, return_distance: bool) -> np.ndarray:
    search = NearestNeighbors(n_neighbors=density.n_neighbors, algorithm="brute")
    found = search.fit(density.references).kneighbors(queries, return_distance=return_distance)
    return found[0] if return_distance else found


def neighbor_distances(density: Density, decoded: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Mean squared distance rho² to the nearest references, array (n_samples,).

    Parameters
    ----------
    density : Density
    decoded, residual : ndarray of shape (n_samples, n_features)
        Split of rows in standardised units, float64.
    """
    queries = _joined(decoded, residual, density.residual_scale)
    return np.square(_nearest(density, queries, return_distance=True)).mean(axis=1)


def log_density(density: Density, rho_squared: np.ndarray) -> np.ndarray:
    """Log density in nats, (n_samples,), from the mean squared distances to the neighbours."""
    m, d = len(density.references), density.references.shape[1] // 2
    log_ball = 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d + 1)
    log_share = math.log(density.n_neighbors / m)
    n_components = d / density.residual_scale**2
    log_volume = max(0.0, d - n_components) * math.log(density.residual_scale)
    return log_share + log_volume - log_ball - 0.5 * d * np.log(rho_squared + density.epsilon * d)


def column_contributions(density: Density, decoded: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """rho², shared out over the columns, array (n_samples, n_features).

    In proportion to the squared differences of x itself, not of its parts: a decoding smears one
    odd column over all, x does not.
    """
    queries = _joined(decoded, residual, density.residual_scale)
    neighbors = _nearest(density, queries, return_distance=False)
    d = decoded.shape[1]
    squares = np.zeros(decoded.shape)
    for neighbor in neighbors.T:
        difference = queries - density.references[neighbor]
        of_x = difference[:, :d] + difference[:, d:] / density.residual_scale
        squares += np.square(of_x)
    total = squares.sum(axis=1, keepdims=True)
    # A row equal to all its neighbours: every column has the same share of nothing.
    share = np.divide(squares, total, out=np.full_like(squares, 1 / d), where=total > 0)
    return neighbor_distances(density, decoded, residual)[:, None] * share

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
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

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
FURTHEST = 1e150


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
    return joined.clip(-FURTHEST, FURTHEST, out=joined)


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


class NeighborSearch:
    """Distances of rows to their nearest references, in the precision that the rows have.

    Parameters
    ----------
    density : Density
        Holder of the references.
    dtype : dtype
        float64, or float32 for rows that are known to that precision only, which takes less time.
    """

    # In float32, squared distances come from products, |q|² + |r|² - 2 qr, and lose the digits by
    # which they are smaller than these. Below this share of them they are taken from differences,
    # which takes longer, and of some more neighbours, since their order may change.
    _NEAR = 0.1
    _SPARE = 2

    def __init__(self, density: Density, dtype: np.dtype) -> None:
        self._density = density
        self._search = NearestNeighbors(n_neighbors=density.n_neighbors, algorithm="brute")
        self._search.fit(density.references)
        self._references: Tensor | None = None
        if dtype == np.float32:
            # Centred rows lose less to rounding.
            self._center = density.references.mean(axis=0)
            self._references = torch.from_numpy(density.references - self._center).float()
            self._half_norms = 0.5 * self._references.square().sum(dim=1)

    def positions(self, decoded: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Positions of the nearest references, array (n_samples, n_neighbors), in float64."""
        return self._search.kneighbors(self._queries(decoded, residual), return_distance=False)

    def mean_squares(self, decoded: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Mean squared distance rho² to the nearest references, array (n_samples,).

        Parameters
        ----------
        decoded, residual : ndarray of shape (n_samples, n_features)
            Split of rows in standardised units, float64.
        """
        queries = self._queries(decoded, residual)
        if self._references is None:
            return self._mean_squares(queries)
        rho_squared = self._mean_squares_in_float32(queries, self._references)
        overflown = np.flatnonzero(~np.isfinite(rho_squared))
        if len(overflown) > 0:
            rho_squared[overflown] = self._mean_squares(queries[overflown])
        return rho_squared

    def _queries(self, decoded: np.ndarray, residual: np.ndarray) -> np.ndarray:
        return _joined(decoded, residual, self._density.residual_scale)

    def _mean_squares(self, queries: np.ndarray) -> np.ndarray:
        return np.square(self._search.kneighbors(queries)[0]).mean(axis=1)

    def _mean_squares_in_float32(self, queries: np.ndarray, references: Tensor) -> np.ndarray:
        q = torch.from_numpy(queries - self._center).float()
        half_norms = 0.5 * q.square().sum(dim=1)
        # |q - r|² / 2 but for |q|² / 2, which all references have in common.
        halves = torch.addmm(self._half_norms, q, references.T, alpha=-1)
        k = self._density.n_neighbors
        found = halves.topk(min(k + self._SPARE, len(references)), largest=False)
        squares = 2 * (found.values + half_norms[:, None])
        largest = self._half_norms[found.indices].amax(dim=1) + half_norms
        near = (squares[:, 0] < self._NEAR * largest).nonzero().squeeze(1)
        if len(near) > 0:
            x = q[near]
            differences = (references[r].sub_(x) for r in found.indices[near].T)
            squares[near] = torch.stack([d.square_().sum(dim=1) for d in differences], dim=1)
        return squares.topk(k, largest=False).values.double().mean(dim=1).numpy()


def log_density(density: Density, rho_squared: np.ndarray) -> np.ndarray:
    """Log density in nats, (n_samples,), from the mean squared distances to the neighbours."""
    d = density.references.shape[1] // 2
    return log_constant(density) - 0.5 * d * np.log(rho_squared + density.epsilon * d)


def log_constant(density: Density) -> float:
    """The part of `log_density` that all rows share."""
    m, d = len(density.references), density.references.shape[1] // 2
    log_ball = 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d + 1)
    log_share = math.log(density.n_neighbors / m)
    n_components = d / density.residual_scale**2
    log_volume = max(0.0, d - n_components) * math.log(density.residual_scale)
    return log_share + log_volume - log_ball


def column_contributions(density: Density, decoded: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """rho², shared out over the columns, array (n_samples, n_features).

    In proportion to the squared differences of x itself, not of its parts: a decoding smears one
    odd column over all, x does not.
    """
    search = NeighborSearch(density, decoded.dtype)
    neighbors = search.positions(decoded, residual)
    queries = _joined(decoded, residual, density.residual_scale)
    d = decoded.shape[1]
    squares = np.zeros(decoded.shape)
    for neighbor in neighbors.T:
        difference = queries - density.references[neighbor]
        of_x = difference[:, :d] + difference[:, d:] / density.residual_scale
        squares += np.square(of_x)
    total = squares.sum(axis=1, keepdims=True)
    # A row equal to all its neighbours: every column has the same share of nothing.
    share = np.divide(squares, total, out=np.full_like(squares, 1 / d), where=total > 0)
    return search.mean_squares(decoded, residual)[:, None] * share

"""Score of rows on top of a trained autoencoder: how far from their neighbours, and from the whole.

A row x, in standardised units, is split by the autoencoder into its decoding and its residual,
x = g(f(x)) + r. Two rows are as far apart as

    D²(a, b) = |g(f(a)) - g(f(b))|² + (n_features / n_components) |r_a - r_b|²,

along the manifold, in the metric that the decoder gives to codes, and off it, with equal weight for
each degree of freedom. With rho² the mean of D² over the k nearest of the reference rows, which
hold a share s of all weight, log s - log V_d - d log rho is a nearest-neighbour estimate of the log
density (Loftsgaarden and Quesenberry, 1965), V_d being the volume of the unit ball in
d = n_features dimensions.

A group of outliers vouches for itself among nearest neighbours, but not before the whole of the
table, from whose centre it lies M away (`table.py`). The score is the log density of rows as far
from both, each distance in units of that of a typical training row:

    log p(x) = log p(typical) - d log (w rho / rho_0 + (1 - w) M / M_0).

The weight w of the neighbours is the correlation of both distances over the training rows: as far
as neighbours agree with the whole, they tell the same in more detail; where they contradict it, as
rows do that vouch for each other, the whole has the say.

A reference is left out of its own neighbours. That and an autoencoder that restores the rows it was
trained on better than others would make training rows look more normal than new ones: their
residuals count as larger by the ratio that held-out residuals have, and what comes of it is kept
for the references. A row equal to a reference has its score.

References may be fewer than the rows that tell what is typical, and may be means of groups of them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sklearn_aae._learned.groups import group_means
from sklearn_aae._learned.neighbors import NeighborSearch
from sklearn_aae._learned.table import fit_center, fit_whitening, row_features, whitened_distances

# A sample of this size finds neighbours nearly as good as all rows do, and bounds memory and time.
N_REFERENCES = 2000

# Beside the whole of the table, which outliers that flock together do not get past, few neighbours
# are better: 3, 5 and 10 differ by 0.003 in mean AUROC on clean and by 0.001 on contaminated data.
_N_NEIGHBORS = 3

# Neighbours and the whole of the table have some weight each, however far they agree.
_LEAST_WEIGHT = 0.1

# Rows for each column from which a covariance tells something.
_ROWS_PER_COLUMN = 2

# Added to rho² for each column: copies of a reference row get a finite density. It is no less than
# what rounding makes of float32 values: columns may be far from zero and not scaled.
_EPSILON = 1e-6
_ROUNDING = 4 * float(np.finfo(np.float32).eps)
_ROUNDING_OF_MEAN = 16 * float(np.finfo(np.float64).eps)

# A row this near to a reference, squared and for each column, is that row.
SAME = 1e-9

# Squares of anything further out than this would overflow.
FURTHEST = 1e150


class Density(NamedTuple):
    """Reference rows and what goes with them.

    Parameters
    ----------
    references : ndarray of shape (n_references, 2 * n_features)
        Decoding and weighted residual of each row side by side.
    residual_scale : float
        Square root of the residual's weight.
    n_neighbors : int
    epsilon : float
        Added to rho² for each column.
    typical : float
        Log density of a typical row.
    near : float
        rho of a typical row.
    far : float
        M of a typical row.
    of_neighbors : float
        Weight of the neighbours in the distance; the rest is that of the whole table.
    weights : ndarray of shape (n_references,) or None
        What references count for, with sum 1; None where all count alike.
    center : ndarray of shape (n_features + 1,) or (2 * n_features,), or None
        Centre of the whole table, of the features of rows where there is a whitening and of
        references where there is none. None for scores of neighbours alone, as in first files.
    whitening : ndarray of shape (n_features + 1, n_features + 1) or None
    own_scores : ndarray of shape (n_references,) or None
        Scores of the references. None where they are like those of other rows: of means, and in
        first files.
    """

    references: np.ndarray
    residual_scale: float
    n_neighbors: int
    epsilon: float
    typical: float
    near: float = 1.0
    far: float = 1.0
    of_neighbors: float = 1.0
    weights: np.ndarray | None = None
    center: np.ndarray | None = None
    whitening: np.ndarray | None = None
    own_scores: np.ndarray | None = None

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.references.shape[1] // 2


class Surroundings(NamedTuple):
    """What rows have around them: squares and positions of their neighbours, and distances.

    `near` and `far` are rho / rho_0 and M / M_0.
    """

    squares: np.ndarray
    positions: np.ndarray
    near: np.ndarray
    far: np.ndarray


def joined(decoded: np.ndarray, residual: np.ndarray, residual_scale: float) -> np.ndarray:
    """Decoding and weighted residual of rows side by side, (n_samples, 2 * n_features)."""
    both = np.concatenate([decoded, residual_scale * residual], axis=1)
    return both.clip(-FURTHEST, FURTHEST, out=both)


def as_if_new(
    decoded: np.ndarray, residual: np.ndarray, inflation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Split of training rows with residuals as large as those of rows not trained on."""
    if inflation == 1:
        return decoded, residual
    larger = math.sqrt(inflation) * residual
    return decoded + (residual - larger), larger


def residual_inflation(trained: np.ndarray, held_out: np.ndarray) -> float:
    """How many times larger squared residuals are of held-out rows, at least 1.

    By medians over the rows, which outliers do not move.
    """
    of_trained, of_held_out = (np.median(np.square(r).sum(axis=1)) for r in (trained, held_out))
    return float(max(1.0, of_held_out / of_trained)) if of_trained > 0 else 1.0


def fit_density(
    decoded: np.ndarray,
    residual: np.ndarray,
    n_components: int,
    *,
    weights: np.ndarray | None = None,
    inflation: float = 1.0,
    one_unit: bool = False,
    kept: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Density:
    """Density of the given rows.

    Parameters
    ----------
    decoded, residual : ndarray of shape (n_samples, n_features)
        Split of training rows in standardised units, float64.
    n_components : int
        Width of the code.
    weights : ndarray of shape (n_samples,), default=None
        Positive; None for equal ones.
    inflation : float, default=1
        How many times larger squared residuals of rows are that were not trained on.
    one_unit : bool, default=False
        Whether the columns share a range.
    kept : ndarray of int of shape (n_references,), default=None
        Positions of the rows that become references; None for all.
    groups : ndarray of int of shape (n_samples,), default=None
        Number of each row's group, from 0: the references are then the means of groups.
    """
    n_samples, d = decoded.shape
    scale = residual_scale(d, n_components)
    rows = joined(decoded, residual, scale)
    epsilon = max(_EPSILON, (_ROUNDING * float(np.abs(rows).max())) ** 2)
    share = np.full(n_samples, 1 / n_samples)
    if weights is not None:
        share = weights / weights.sum()
    if one_unit or n_samples < _ROWS_PER_COLUMN * (d + 1):
        center, whitening = fit_center(rows, share), None
    else:
        features = row_features(decoded + residual, residual)
        center, whitening = fit_whitening(features, share)
    references, of_references, own = rows, share, np.arange(n_samples)
    if groups is not None:
        references, of_references = group_means(rows, groups, share), np.bincount(groups, share)
    elif kept is not None:
        references, of_references = rows[kept], share[kept] / share[kept].sum()
        own = np.full(n_samples, -1)
        own[kept] = np.arange(len(kept))
    n_references = len(references)
    k = max(1, min(_N_NEIGHBORS, n_references - 1))
    plain = Density(
        references,
        scale,
        k,
        epsilon,
        typical=0.0,
        weights=None if weights is None and groups is None else of_references,
        center=center,
        whitening=whitening,
    )
    excluded = own if n_references > 1 and groups is None else None
    search = NeighborSearch(references, np.dtype("float64"))
    # Units of training rows alone: rows held out are to tell nothing to scores, as new ones do not.
    around = _surroundings(plain, search, rows, excluded)
    near, far = (
        float(np.quantile(values, 0.5, weights=share, method="inverted_cdf"))
        for values in (around.near, around.far)
    )
    # Where most rows are alike, the distance of a typical one is the rounding of a mean: no unit.
    stretch = 1.0 if whitening is None else float(np.linalg.norm(whitening))
    far = far if far > _ROUNDING_OF_MEAN * float(np.abs(rows).max()) * stretch else 1.0
    typical = log_density_at(near, k / n_references, d, scale)
    scaled = plain._replace(
        typical=typical,
        near=near,
        far=far,
        of_neighbors=_weight_of_neighbors(around.near / near, around.far / far, share),
    )
    if groups is not None:
        return scaled
    new = joined(*as_if_new(decoded, residual, inflation), scale)
    if kept is not None:
        new, excluded = new[kept], None if excluded is None else excluded[kept]
    return scaled._replace(own_scores=_scores(scaled, _surroundings(scaled, search, new, excluded)))


def _weight_of_neighbors(near: np.ndarray, far: np.ndarray, share: np.ndarray) -> float:
    """Correlation of both distances over rows, each in units of a typical row, within bounds.

    Rows count the less the further they lie from the centre, with Cauchy's weights, and by
    logarithms of one more than the distance: neither a group far out nor copies of a row decide.
    """
    of_rows = share / (1 + np.square(np.minimum(far, FURTHEST)))
    covariance = np.cov(np.log1p(near), np.log1p(far), aweights=of_rows, ddof=0)
    scale = math.sqrt(covariance[0, 0] * covariance[1, 1])
    # Where one of them does not vary, any weight gives the same ranks.
    correlation = covariance[0, 1] / scale if scale > 0 else 0.5
    return float(np.clip(correlation, _LEAST_WEIGHT, 1 - _LEAST_WEIGHT))


def residual_scale(n_features: int, n_components: int) -> float:
    """Square root of the weight of residuals: each degree of freedom counts alike."""
    return math.sqrt(n_features / n_components)


def log_density_at(radius: float, share: float, d: int, residual_scale: float) -> float:
    """Log density where a share of all weight is as far away as a radius, in d dimensions.

    With the volume that the weight of residuals gives to the directions off the manifold.
    """
    n_components = d / residual_scale**2
    log_volume = max(0.0, d - n_components) * math.log(residual_scale)
    return math.log(share) + log_volume - log_ball(d) - d * math.log(radius)


def log_ball(d: int) -> float:
    """Log volume of the unit ball in d dimensions."""
    return 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d + 1)


class DensityScore:
    """Scores of rows by a density, in the precision that the rows have.

    Parameters
    ----------
    density : Density
        Holder of the references.
    dtype : dtype
        float64, or float32 for rows that are known to that precision only, which takes less time.
    """

    def __init__(self, density: Density, dtype: np.dtype) -> None:
        self._density = density
        self._search = NeighborSearch(density.references, dtype)

    def __call__(self, decoded: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Scores in nats, (n_samples,).

        Parameters
        ----------
        decoded, residual : ndarray of shape (n_samples, n_features)
            Split of rows in standardised units, float64.
        """
        density = self._density
        around = _surroundings(density, self._search, self._joined(decoded, residual))
        scores = _scores(density, around)
        if density.own_scores is not None:
            same = self._same(around)
            scores[same >= 0] = density.own_scores[same[same >= 0]]
        return scores

    def neighbors(
        self, decoded: np.ndarray, residual: np.ndarray, n_neighbors: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Squares and positions of the nearest references, less the one that a row is."""
        queries = self._joined(decoded, residual)
        squares, positions = self._search.nearest(queries, n_neighbors)
        same = np.where(squares[:, 0] <= self._tolerance, positions[:, 0], -1)
        again = np.flatnonzero(same >= 0)
        if len(again) > 0 and len(self._density.references) > n_neighbors:
            found = self._search.nearest(queries[again], n_neighbors, same[again])
            squares[again], positions[again] = found
        return squares, positions

    def column_contributions(self, decoded: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Squared distance of rows in units of a typical row, shared out over the columns.

        Array (n_samples, n_features). The part of the neighbours in proportion to the squared
        differences of x itself, not of its parts: a decoding smears one odd column over all, x does
        not. That of the whole table in proportion to the squared differences from its centre, in
        units of what the other columns leave open.
        """
        density, d = self._density, decoded.shape[1]
        queries = self._joined(decoded, residual)
        around = _surroundings(density, self._search, queries)
        if density.own_scores is not None and len(density.references) > 1:
            same = self._same(around)
            known = np.flatnonzero(same >= 0)
            if len(known) > 0:
                left_out = _surroundings(density, self._search, queries[known], same[known])
                for all_rows, some in zip(around, left_out, strict=True):
                    all_rows[known] = some
        # What rho² has of each column at least: copies differ by rounding, of which no column has
        # a share.
        squares = np.full(decoded.shape, density.n_neighbors * density.epsilon)
        for neighbor in around.positions.T:
            difference = queries - density.references[neighbor]
            squares += np.square(difference[:, :d] + difference[:, d:] / density.residual_scale)
        shares = density.of_neighbors * around.near[:, None] * _in_shares(squares)
        if density.center is not None:
            of_table = _squares_from_center(density, density.center, queries)
            shares += (1 - density.of_neighbors) * around.far[:, None] * _in_shares(of_table)
        distance = np.exp((density.typical - self(decoded, residual)) / d)
        return np.square(distance)[:, None] * shares / shares.sum(axis=1, keepdims=True)

    def _joined(self, decoded: np.ndarray, residual: np.ndarray) -> np.ndarray:
        return joined(decoded, residual, self._density.residual_scale)

    @property
    def _tolerance(self) -> float:
        return self._density.n_features * SAME

    def _same(self, around: Surroundings) -> np.ndarray:
        """Positions of the references that rows are equal to, -1 for none."""
        return np.where(around.squares[:, 0] <= self._tolerance, around.positions[:, 0], -1)


def _surroundings(
    density: Density,
    search: NeighborSearch,
    queries: np.ndarray,
    excluded: np.ndarray | None = None,
) -> Surroundings:
    squares, positions = search.nearest(queries, density.n_neighbors, excluded)
    d = density.n_features
    near = np.sqrt(squares.mean(axis=1) + density.epsilon * d)
    if density.weights is not None:
        # The radius at which as many rows of equal weight would be as dense.
        mass = density.weights[positions].sum(axis=1)
        mass *= len(density.references) / density.n_neighbors
        near *= np.exp(-np.log(mass) / d)
    far = distances_from_center(density, queries)
    return Surroundings(squares, positions, near / density.near, far / density.far)


def _scores(density: Density, around: Surroundings) -> np.ndarray:
    relative = around.near
    if density.center is not None:
        w = density.of_neighbors
        relative = w * around.near + (1 - w) * around.far
    return density.typical - density.n_features * np.log(relative)


def _split(density: Density, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and their residuals."""
    d = density.n_features
    residual = queries[:, d:] / density.residual_scale
    return queries[:, :d] + residual, residual


def distances_from_center(density: Density, queries: np.ndarray) -> np.ndarray:
    """M of rows, (n_samples,), from their decodings and weighted residuals side by side."""
    if density.center is None:
        return np.zeros(len(queries))
    features = queries if density.whitening is None else row_features(*_split(density, queries))
    return whitened_distances(features, density.center, density.whitening)


def _squares_from_center(density: Density, center: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """What columns add to the distance from the centre, up to a factor for each row."""
    x, residual = _split(density, queries)
    d = density.n_features
    if density.whitening is None:
        return np.square(x - _split(density, center[None])[0])
    features = row_features(x, residual)
    precision = np.square(density.whitening).sum(axis=0)
    squares = precision * np.square(features - center)
    return squares[:, :d] + squares[:, d:] * _in_shares(np.square(residual))


def _in_shares(squares: np.ndarray) -> np.ndarray:
    """Squares as shares of their sum over the columns; equal ones where all are zero."""
    total = squares.sum(axis=1, keepdims=True)
    return np.divide(
        squares, total, out=np.full_like(squares, 1 / squares.shape[1]), where=total > 0
    )

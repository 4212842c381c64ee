"""How much of the real rows generated ones cover, and how many are among them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from sklearn_aae.metrics.checks import (
    FloatArray,
    centre,
    check_integer,
    check_rows,
    check_same_columns,
    squared_distance_chunks,
)


def _squared_radii(X: FloatArray, n_neighbors: int) -> FloatArray:
    """Squared distance from each row to its n_neighbors-th neighbour, not counting itself."""
    radii = np.empty(X.shape[0])
    for rows, chunk in squared_distance_chunks(X):
        # Position 0 is the row itself, at distance exactly zero.
        chunk.partition(n_neighbors, axis=1)
        radii[rows] = chunk[:, n_neighbors]
    return radii


def _ball_distance_chunks(
    real: FloatArray, generated: FloatArray
) -> Iterator[tuple[slice, FloatArray]]:
    """Squared distances to compare with squared radii by <=, their rounding error taken off.

    The balls of precision, recall, density and coverage are closed, so duplicated rows (counts,
    categories, grey levels) lie exactly on their border, where rounding would decide. A dot product
    of n terms is off by at most n * eps * ||x|| * ||y|| <= n * eps * (||x||^2 + ||y||^2) / 2. It
    counts twice, two more terms are added to it, and the radius has an error of its own, which
    makes up the factor.
    """
    unit = 4.0 * (real.shape[1] + 2) * float(np.finfo(np.float64).eps)
    real_slack = unit * np.einsum("ij,ij->i", real, real)
    generated_slack = unit * np.einsum("ij,ij->i", generated, generated)
    for rows, chunk in squared_distance_chunks(real, generated):
        chunk -= real_slack[rows, np.newaxis]
        chunk -= generated_slack
        yield rows, chunk


def _check_neighbor_arrays(
    X_real: ArrayLike, X_generated: ArrayLike, n_neighbors: int, *, generated_needs_radii: bool
) -> tuple[FloatArray, FloatArray]:
    check_integer(n_neighbors, "n_neighbors", minimum=1)
    # A row is not its own neighbour, hence one row more than neighbours.
    way_out = f"pass more rows or lower n_neighbors={n_neighbors}"
    real = check_rows(X_real, "X_real", min_samples=n_neighbors + 1, way_out=way_out)
    generated = check_rows(
        X_generated,
        "X_generated",
        min_samples=n_neighbors + 1 if generated_needs_radii else 1,
        way_out=way_out if generated_needs_radii else "pass generated rows",
    )
    check_same_columns(real, "X_real", generated, "X_generated")
    real, generated = centre(real, generated)
    return real, generated


def precision_recall(
    X_real: ArrayLike, X_generated: ArrayLike, *, n_neighbors: int = 3
) -> tuple[float, float]:
    """Fidelity and variety of generated rows by nearest-neighbour balls.

    Each set is surrounded by closed balls, one per row, that reach to the row's `n_neighbors`-th
    neighbour in the same set. Precision is the share of generated rows inside the balls of the real
    ones (are the samples realistic?), recall the share of real rows inside the balls of the
    generated ones (is everything covered?).

    Parameters
    ----------
    X_real : array-like of shape (n_samples_real, n_features)
        Features of real rows, more than `n_neighbors`.
    X_generated : array-like of shape (n_samples_generated, n_features)
        Features of generated rows, more than `n_neighbors`. Use as many as real ones: the balls
        shrink as rows are added.
    n_neighbors : int, default=3
        Which neighbour sets the radius, at least 1. Larger values are more lenient.

    Returns
    -------
    precision : float
        Between 0 and 1.
    recall : float
        Between 0 and 1.

    Raises
    ------
    TypeError
        If `n_neighbors` is not an integer.
    ValueError
        If an array has no more rows than `n_neighbors`, or the numbers of columns differ.

    See Also
    --------
    density_coverage : Less moved by single far-off rows.

    Notes
    -----
    Distances are Euclidean and computed in chunks of
    `sklearn.get_config()["working_memory"]`. A row on the border counts as inside, as in the
    paper; the package `prdc` leaves it out, which differs only for duplicated rows.

    References
    ----------
    T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila, "Improved Precision and Recall
    Metric for Assessing Generative Models", 2019, https://arxiv.org/abs/1904.06991

    Examples
    --------
    A generator that knows one of two clusters is precise, but misses half of the data.

    >>> import numpy as np
    >>> from sklearn_aae.metrics import precision_recall
    >>> rng = np.random.default_rng(0)
    >>> X_real = np.r_[rng.uniform(0, 1, (200, 2)), rng.uniform(5, 6, (200, 2))]
    >>> X_generated = rng.uniform(0.2, 0.8, (400, 2))
    >>> precision, recall = precision_recall(X_real, X_generated)
    >>> precision > 0.9, recall < 0.5
    (True, True)
    """
    real, generated = _check_neighbor_arrays(
        X_real, X_generated, n_neighbors, generated_needs_radii=True
    )
    real_radii = _squared_radii(real, n_neighbors)
    generated_radii = _squared_radii(generated, n_neighbors)
    generated_inside = np.zeros(generated.shape[0], dtype=bool)
    real_inside = np.zeros(real.shape[0], dtype=bool)
    for rows, chunk in _ball_distance_chunks(real, generated):
        generated_inside |= (chunk <= real_radii[rows, np.newaxis]).any(axis=0)
        real_inside[rows] = (chunk <= generated_radii).any(axis=1)
    return float(generated_inside.mean()), float(real_inside.mean())


def density_coverage(
    X_real: ArrayLike, X_generated: ArrayLike, *, n_neighbors: int = 5
) -> tuple[float, float]:
    """Fidelity and variety of generated rows by balls around the real ones only.

    Real rows are surrounded by closed balls that reach to their `n_neighbors`-th real neighbour.
    Density counts in how many balls a generated row lies, divided by `n_neighbors` and averaged;
    coverage is the share of balls that hold a generated row.

    Parameters
    ----------
    X_real : array-like of shape (n_samples_real, n_features)
        Features of real rows, more than `n_neighbors`.
    X_generated : array-like of shape (n_samples_generated, n_features)
        Features of generated rows, at least 1. Use as many as real ones: coverage grows with them.
    n_neighbors : int, default=5
        Which neighbour sets the radius, at least 1.

    Returns
    -------
    density : float
        At least 0. About 1 for samples of the same distribution; above 1 where they gather in its
        dense parts.
    coverage : float
        Between 0 and 1. The same distribution reaches about ``1 - 2 ** -n_neighbors``, not 1.

    Raises
    ------
    TypeError
        If `n_neighbors` is not an integer.
    ValueError
        If X_real has no more rows than `n_neighbors`, X_generated has none, or the numbers of
        columns differ.

    See Also
    --------
    precision_recall : Fidelity and variety between 0 and 1, with balls on both sides.

    Notes
    -----
    Distances are Euclidean and computed in chunks of
    `sklearn.get_config()["working_memory"]`. A row on the border of a ball counts as inside; the
    package `prdc` leaves it out, which differs only for duplicated rows.

    References
    ----------
    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi, J. Yoo, "Reliable Fidelity and Diversity Metrics for
    Generative Models", 2020, https://arxiv.org/abs/2002.09797

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.metrics import density_coverage
    >>> rng = np.random.default_rng(0)
    >>> X_real, X_generated = rng.normal(size=(2, 500, 2))
    >>> density, coverage = density_coverage(X_real, X_generated)
    >>> round(density, 1), coverage > 0.9
    (1.0, True)
    """
    real, generated = _check_neighbor_arrays(
        X_real, X_generated, n_neighbors, generated_needs_radii=False
    )
    radii = _squared_radii(real, n_neighbors)
    n_inside = np.empty(real.shape[0], dtype=np.int64)
    for rows, chunk in _ball_distance_chunks(real, generated):
        n_inside[rows] = np.count_nonzero(chunk <= radii[rows, np.newaxis], axis=1)
    density = n_inside.sum() / (n_neighbors * generated.shape[0])
    return float(density), float((n_inside > 0).mean())

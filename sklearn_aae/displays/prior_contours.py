"""Where a prior has its mass, in two of its dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from sklearn_aae.priors import draw

N_PRIOR_DRAWS = 5000
N_QUANTILE_DRAWS = 20_000
_N_GRID = 200
_PRIOR_MASSES = (0.99, 0.9, 0.5)


class PriorContours(NamedTuple):
    """Density of a prior in two dimensions of the code.

    Attributes
    ----------
    x, y : ndarrays of shape (n_x,) and (n_y,)
        Coordinates along the first and the second of the dimensions.
    density : ndarray of shape (n_y, n_x)
        Relative to the largest value.
    levels : ndarray of shape (n_levels,)
        Increasing densities.
    masses : ndarray of shape (n_levels,)
        Share of the prior where the density is at least that.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn_aae.displays import LatentSpaceDisplay
    >>> X = load_iris().data
    >>> model = AdversarialAutoencoder(n_components=2, max_iter=3, random_state=0).fit(X)
    >>> contours = LatentSpaceDisplay.from_estimator(model, X).prior_contours
    >>> contours.masses.tolist()
    [0.99, 0.9, 0.5]
    """

    x: np.ndarray
    y: np.ndarray
    density: np.ndarray
    levels: np.ndarray
    masses: np.ndarray


def prior_contours(
    prior: Any, draws: np.ndarray, dimensions: Sequence[int]
) -> PriorContours | None:
    """Regions of highest density of a prior in two dimensions (Hyndman, 1996).

    With more than two dimensions in the code, a slice of the density is the density of the two
    dimensions if it is the same wherever the others are; this is looked up at a few draws.

    Parameters
    ----------
    prior : object
        Perhaps with ``log_prob(z)``.
    draws : ndarray of shape (n_draws, n_components)
        Draws of the prior, which tell where it lies and what lies above a level.
    dimensions : sequence of two ints

    Returns
    -------
    contours : PriorContours or None
        None where the prior has no density, or not in these two dimensions alone.
    """
    if not hasattr(prior, "log_prob"):
        return None
    first, second = dimensions
    points = draws[:, [first, second]]
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.02 * (high - low)  # the border of a box must lie inside
    grid = np.linspace(low - margin, high + margin, _N_GRID, axis=1)
    cells = np.stack(np.meshgrid(*grid), axis=-1).reshape(-1, 2)
    n_slices = 1 if draws.shape[1] == 2 else 4
    slices, tops = [], []
    for others in draws[:n_slices]:
        log_density = _log_slice(prior, others, dimensions, cells)
        top = log_density.max()
        if not np.isfinite(top):
            return None
        slices.append(np.exp(log_density - top))
        tops.append(top)
    # Three digits are more than an eye sees in a contour.
    if not all(np.allclose(s, slices[0], rtol=0, atol=1e-3) for s in slices):
        return None
    at_draws = np.exp(_log_slice(prior, draws[0], dimensions, points) - tops[0])
    # A flat density has one level, its own; just below it there is a border to draw.
    levels = np.minimum(np.quantile(at_draws, 1 - np.array(_PRIOR_MASSES)), 1 - 1e-6)
    levels = np.unique(levels)
    masses = (at_draws >= levels[:, None]).mean(axis=1)
    density = slices[0].reshape(_N_GRID, _N_GRID)
    # Around the lowest level there is nothing to draw.
    inside = density >= levels[0]
    rows, columns = _around(inside.any(axis=1)), _around(inside.any(axis=0))
    return PriorContours(grid[0, columns], grid[1, rows], density[rows, columns], levels, masses)


def _around(mask: np.ndarray) -> slice:
    """From the first True to the last, and one more at either end."""
    positions = np.flatnonzero(mask)
    return slice(max(positions[0] - 1, 0), positions[-1] + 2)


def _log_slice(
    prior: Any, others: np.ndarray, dimensions: Sequence[int], points: np.ndarray
) -> np.ndarray:
    """Log density at points (n, 2) of two dimensions, the other dimensions held fixed."""
    z = np.tile(others.astype(np.float64), (len(points), 1))
    z[:, list(dimensions)] = points
    return np.asarray(torch.as_tensor(prior.log_prob(torch.from_numpy(z))).detach())


def prior_draws(prior: Any, n_draws: int) -> np.ndarray:
    return draw(prior, n_draws, torch.Generator().manual_seed(0)).numpy()

"""Rows with missing cells: filling them in, how sure that is, and scores that do not mind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from sklearn_aae._rows.columns import Columns
from sklearn_aae._rows.product import Product
from sklearn_aae._rows.scaling import unsquashed

# Rounds in which networks that know no missing cells fill them in: from the column means, each
# round decodes the row that the last one has filled. Later rounds change little.
_ROUNDS = 5

# Rows of which cells are hidden to see what becomes of them, and the share of cells for errors.
_MEASURED = 300
_HIDDEN = 0.3

# Shares of missing cells at which scores are compared, and rows that a median takes.
_LEVELS = np.array([0.0, 0.15, 0.3, 0.5, 0.75, 1.0])
_MIN_ROWS = 20
# Scores of rows with gaps are stretched by no more than this to be as wide as those without.
_MAX_STRETCH = 10.0


def fill_in(
    X: np.ndarray,
    missing: np.ndarray,
    baseline: np.ndarray,
    reconstruct: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Rows with missing cells as networks would have them that know of none.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    missing : ndarray of bool, shape (n_samples, n_features)
    baseline : ndarray of shape (n_features,)
        Means of the columns.
    reconstruct : callable
        From rows to decoded ones.
    """
    filled = np.where(missing, baseline.astype(X.dtype), X)
    rows = np.flatnonzero(missing.any(axis=1))
    cells = missing[rows]
    for _ in range(_ROUNDS):
        filled[rows] = np.where(cells, reconstruct(filled[rows]), filled[rows])
    return filled


class Spread(NamedTuple):
    """How far numbers are from what is decoded for them, and how often cells are missing.

    `seen` and `hidden` are root mean squares in standardised units, (n_inputs,), of cells that the
    encoder saw and of others; `missing` are shares, (n_columns,).
    """

    seen: np.ndarray
    hidden: np.ndarray
    missing: np.ndarray


class Hidden(NamedTuple):
    """Rows as they are and with cells hidden, as the networks see both, and what was hidden."""

    rows: np.ndarray
    with_gaps: np.ndarray
    cells: np.ndarray


def hide(X: Any, share: float, starts: np.ndarray, random_state: np.random.RandomState) -> Hidden:
    """Hide cells of dense rows X until this share of each row is missing, at least."""
    widths = np.diff([*starts, X.shape[1]])
    already = np.isnan(X[:, starts])
    order = random_state.random_sample(already.shape)
    order[already] = -1  # those come first
    rank = order.argsort(axis=1).argsort(axis=1)
    cells = (rank < round(share * len(starts))) & ~already
    with_gaps = np.where(np.repeat(cells, widths, axis=1), np.nan, X)
    return Hidden(X, with_gaps, cells)


def fit_spread(
    missing: np.ndarray | None,
    held_out: Any,
    starts: np.ndarray,
    columns: Columns,
    reconstruct: Callable[[np.ndarray], np.ndarray],
    random_state: np.random.RandomState,
) -> Spread:
    """Errors on up to 300 rows, with a third of their cells hidden and with none.

    Parameters
    ----------
    missing : ndarray of bool of shape (n_rows, n_columns) or None
        Which cells of all rows are missing; None for none.
    held_out : ndarray, SparseRows, TableRows or SelectedRows
        Rows that the networks were not trained on, where there are some, for the errors.
    starts : ndarray of int
        First of the inputs of each column.
    columns : Columns
        How rows are standardised.
    reconstruct : callable
        From rows, which may have gaps, to decoded ones.
    random_state : RandomState
    """
    rows = some_rows(held_out, _MEASURED, random_state)
    hidden = hide(rows, _HIDDEN, starts, random_state)
    observed = ~np.isnan(rows)
    was_hidden = np.isnan(hidden.with_gaps) & observed
    x = columns.standardized(rows.astype(np.float64)).numpy()

    def errors(of_rows: np.ndarray, counted: np.ndarray) -> np.ndarray:
        decoded = columns.standardized(reconstruct(of_rows).astype(np.float64)).numpy()
        squares = np.where(counted, np.square(x - decoded), 0.0)
        return np.sqrt(squares.sum(axis=0) / counted.sum(axis=0).clip(1))

    shares = np.zeros(len(starts)) if missing is None else missing.mean(axis=0)
    return Spread(errors(rows, observed), errors(hidden.with_gaps, was_hidden), shares)


def some_rows(X: Any, n: int, random_state: np.random.RandomState) -> np.ndarray:
    """Up to n rows of X, dense."""
    if len(X) <= n:
        return X[:]
    return X[np.sort(random_state.choice(len(X), n, replace=False))]


def draw_cells(
    decoded: np.ndarray,
    columns: Columns,
    spread: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Draws of what decoded rows say: numbers around their mean, categories by their probability.

    Parameters
    ----------
    decoded : ndarray of shape (n_samples, n_inputs)
        In the units of X, with probabilities.
    columns : Columns
    spread : ndarray of shape (n_inputs,)
        Of numbers, in standardised units.
    bounds : tuple of two ndarray of shape (n_inputs,)
        Smallest and largest standardised value, which draws stay between.
    random_state : RandomState
    """
    likelihood = columns.likelihood
    x = columns.standardized(decoded.astype(np.float64)).numpy()
    x = np.clip(x + spread * random_state.standard_normal(x.shape), *bounds)
    raw = unsquashed(torch.from_numpy(x), likelihood.knee).numpy()
    drawn = columns.center + columns.scale * raw
    if isinstance(likelihood, Product):
        for kind, start, width in zip(
            likelihood.kinds, likelihood.starts, likelihood.widths, strict=True
        ):
            p = decoded[:, start : start + width].astype(np.float64)
            u = random_state.random_sample((len(p), 1))
            if kind == "boolean":
                drawn[:, start : start + 1] = u < p
            elif kind == "category":
                chosen = (p.cumsum(axis=1) < u * p.sum(axis=1, keepdims=True)).sum(axis=1)
                drawn[:, start : start + width] = chosen[:, None] == np.arange(width)
    return drawn.astype(decoded.dtype)


class GapCorrection(NamedTuple):
    """What missing cells do to the scores of inliers, by the share of cells that are missing.

    At `shares`, the median of the scores and the factor by which they are narrower than with the
    fewest gaps, arrays (n_levels,). A score is moved and stretched so that both are as with the
    fewest: a row is not odd for being incomplete.
    """

    shares: np.ndarray
    medians: np.ndarray
    stretches: np.ndarray

    def corrected(self, scores: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
        """Scores of rows of which cells are `missing`, ndarray of bool; None for none."""
        if missing is None:
            return scores
        share = missing.mean(axis=1)
        median = np.interp(share, self.shares, self.medians)
        stretch = np.interp(share, self.shares, self.stretches)
        moved = self.medians[0] + stretch * (scores - median)
        return np.where(share > self.shares[0], moved, scores)


def fit_gap_correction(
    X: Any,
    starts: np.ndarray,
    scores: Callable[[np.ndarray], np.ndarray],
    random_state: np.random.RandomState,
) -> GapCorrection:
    """Scores of up to 300 rows with more and more of their cells hidden at random.

    Parameters
    ----------
    X : ndarray, SparseRows, TableRows or SelectedRows
        Rows that the networks were not trained on, where there are some.
    starts : ndarray of int
        First of the inputs of each column.
    scores : callable
        From rows, which may have gaps, to scores.
    random_state : RandomState
    """
    rows = some_rows(X, _MEASURED, random_state)
    shares, values = [], []
    for level in _LEVELS:
        hidden = hide(rows, level, starts, random_state)
        shares.append(np.isnan(hidden.with_gaps[:, starts]).mean(axis=1))
        values.append(scores(hidden.with_gaps))
    share, value = np.concatenate(shares), np.concatenate(values)
    # No gap and nothing but gaps stand for themselves, what is between in classes.
    between = (_LEVELS[1:-2] + _LEVELS[2:-1]) / 2
    of_class = np.digitize(share, [1e-9, *between, 1 - 1e-9])
    knots = []
    for c in np.unique(of_class):
        chosen = value[of_class == c]
        if len(chosen) >= min(_MIN_ROWS, len(rows)):
            lower, median, upper = np.quantile(chosen, [0.25, 0.5, 0.75])
            knots.append((share[of_class == c].mean(), median, upper - lower))
    levels, medians, ranges = (np.array(v) for v in zip(*knots, strict=True))
    stretch = np.divide(ranges[0], ranges, out=np.zeros_like(ranges), where=ranges > 0)
    return GapCorrection(levels, medians, stretch.clip(0, _MAX_STRETCH))

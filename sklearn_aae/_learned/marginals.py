"""Numbers of samples as those of rows are: whole, within bounds, with values that come often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# Quantiles of what is drawn, and values of what was seen, for each column.
_N_QUANTILES = 201
_N_VALUES = 1001


class Marginals(NamedTuple):
    """How the numbers of decoded rows are distributed, and those of rows.

    A network with a squared error smooths: of a column that is mostly 0, its draws lie around 0.
    They are given the value of the same rank among rows.

    Parameters
    ----------
    inputs : ndarray of int of shape (n_numbers,)
        Where the numbers are in a row.
    drawn : ndarray of shape (201, n_numbers)
        Quantiles of draws.
    seen : ndarray of shape (1001, n_numbers)
        Values of rows, sorted; NaN in columns without a single one.
    repeats : ndarray of bool of shape (n_numbers,)
        Whether fewer than half of the values differ: then draws take values that were seen, and
        else also those between.
    """

    inputs: np.ndarray
    drawn: np.ndarray
    seen: np.ndarray
    repeats: np.ndarray

    def mapped(self, X: np.ndarray) -> np.ndarray:
        """Drawn rows with numbers that are distributed as those of rows."""
        X = X.copy()
        rank = np.linspace(0, 1, len(self.drawn))
        for j, column in enumerate(self.inputs):
            values = self.seen[:, j]
            if np.isnan(values[0]):
                continue
            # Strictly increasing, so that equal quantiles share their ranks.
            quantiles, first = np.unique(self.drawn[:, j], return_index=True)
            last = np.append(first[1:], len(rank)) - 1
            at = np.interp(X[:, column], quantiles, (rank[first] + rank[last]) / 2)
            at = at * (len(values) - 1)
            if self.repeats[j]:
                X[:, column] = values[np.round(at).astype(np.intp)]
            else:
                X[:, column] = np.interp(at, np.arange(len(values)), values)
        return X


def fit_marginals(
    X: np.ndarray, inputs: np.ndarray, draw: Callable[[np.ndarray], np.ndarray]
) -> Marginals:
    """Quantiles of rows X, which may have gaps, and of their draws.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_inputs)
    inputs : ndarray of int
        Where the numbers are in a row.
    draw : callable
        From rows to draws of them.
    """
    drawn = draw(X)[:, inputs].astype(np.float64)
    seen = np.full((_N_VALUES, len(inputs)), np.nan)
    repeats = np.zeros(len(inputs), dtype=bool)
    for j, column in enumerate(inputs):
        values: Any = X[:, column]
        values = values[~np.isnan(values)].astype(np.float64)
        if len(values) > 0:
            ranks = np.linspace(0, 1, _N_VALUES)
            seen[:, j] = np.quantile(values, ranks, method="nearest")
            repeats[j] = 2 * len(np.unique(values)) < len(values)
    return Marginals(
        inputs, np.quantile(drawn, np.linspace(0, 1, _N_QUANTILES), axis=0), seen, repeats
    )

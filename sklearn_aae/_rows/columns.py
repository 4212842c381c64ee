"""The columns of a table: how they are standardised, and what the decoder's output means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.likelihoods import LIKELIHOODS, Likelihood, make_likelihood
from sklearn_aae._rows.product import make_product
from sklearn_aae._rows.scaling import (
    KNEE,
    MeasuredRows,
    chunk_size,
    column_ranges,
    column_scaling,
    squashed,
)
from sklearn_aae._rows.table import Table

# Variance that the indicators of a category have at least, as its unit.
_LEAST_VARIANCE = 0.01


@dataclass(frozen=True, eq=False)
class Columns:
    """What `fit` has learned of the columns before any training.

    Parameters
    ----------
    likelihood : Likelihood
        In float64 on the CPU. Its `center`, `scale` and `knee` are also what rows are standardised
        by: x = squashed((X - center) / scale).
    dtype : dtype
        Of the training rows, float32 or float64.
    one_unit : bool, default=False
        Whether most columns share a range, as pixels do, and are scaled by it.
    """

    likelihood: Likelihood
    dtype: np.dtype
    one_unit: bool = False

    # Formats for models keep types off that they do not know: a dtype goes by its name.
    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"dtype": self.dtype.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, dtype=np.dtype(state["dtype"]))

    @property
    def center(self) -> np.ndarray:
        """What is subtracted from each column."""
        return self.likelihood.center.numpy()

    @property
    def scale(self) -> np.ndarray:
        """What each column is divided by."""
        return self.likelihood.scale.numpy()

    @property
    def baseline(self) -> np.ndarray:
        """Mean of each column."""
        return self.likelihood.baseline.numpy()

    @property
    def knee(self) -> float:
        """Where standardised values start to grow logarithmically."""
        return self.likelihood.knee

    def standardized(self, X: np.ndarray) -> Tensor:
        """Rows of X as a tensor of its own, in the dtype of X."""
        return squashed(self._scaled(X), self.knee)

    def bounded(self, X: np.ndarray, lower: Tensor, upper: Tensor) -> Tensor:
        """Standardised rows with values beyond a range moved to its border."""
        x = self._scaled(X)
        lower, upper = (bound.to("cpu", x.dtype) for bound in (lower, upper))
        # Where the range ends before the knee, nothing that is squashed stays where it is.
        if max(-lower.min(), upper.max()) > self.knee:
            x = squashed(x, self.knee)
        return x.clamp_(lower, upper)

    def _scaled(self, X: np.ndarray) -> Tensor:
        # torch, which subtracts faster than NumPy, does not take arrays of every layout, and warns
        # of those that it must not write to.
        # A single row counts as contiguous whatever its stride.
        plain = X.flags.c_contiguous and X.flags.writeable and min(X.strides) >= 0
        x = torch.from_numpy(X if plain else X.copy())
        return self.scaled(x)

    def scaled(self, x: Tensor) -> Tensor:
        """Rows less centre, over scale, in their dtype."""
        # In place: to write a new array takes as long as the division. What overflows is far
        # enough: it is squashed or moved to the border.
        center, scale = self.likelihood.center, self.likelihood.scale
        return x.sub(center.to(x.dtype)).div_(scale.to(x.dtype))

    def standardized_range(self, X: Any, rows: np.ndarray | None = None) -> tuple[Tensor, Tensor]:
        """Smallest and largest standardised value of each column of X, in float64.

        Of the given rows, or of all.
        """
        X = X if rows is None else SelectedRows(X, rows)
        lowest, highest = (bound.astype(float) for bound in column_ranges(X))
        # A column without a single cell is at its centre.
        empty = np.isnan(lowest)
        lowest[empty] = highest[empty] = self.center[empty]
        return self.standardized(lowest), self.standardized(highest)

    def null_deviance(
        self, X: Any, sample_weight: np.ndarray | None, rows: np.ndarray | None = None
    ) -> float:
        """Mean deviance of predicting the column means, on up to 10,000 evenly spaced rows.

        Of all cells of the given rows, or of all rows: missing ones included, whose deviance is 0.
        """
        if isinstance(X, MeasuredRows):
            X, sample_weight = (
                X.sample,
                None if sample_weight is None else sample_weight[X.positions],
            )
        rows = np.arange(X.shape[0]) if rows is None else rows
        chosen = rows[:: max(1, len(rows) // 10_000)]
        sample = SelectedRows(X, chosen)
        output = self.likelihood.constant_output()
        weight = np.ones(len(sample)) if sample_weight is None else sample_weight[chosen]
        total = 0.0
        deviance = np.empty(len(sample))
        for part in gen_batches(len(sample), max(1, chunk_size(X.shape[1]) // 8)):
            x = self.standardized(sample[part].astype(np.float64))
            deviance[part] = self.likelihood.deviance(output.expand_as(x), x).mean(dim=1).numpy()
        for part in gen_batches(len(sample), chunk_size(X.shape[1])):
            total += float(deviance[part] @ weight[part])
        mean = total / weight.sum() if weight.any() else 0.0
        # Nothing varies: any unit serves.
        return mean if mean > 0 else 1.0


def fit_columns(
    X: Any,
    sample_weight: np.ndarray | None,
    likelihood: str,
    *,
    standardize: bool,
    table: Table | None = None,
    rows: np.ndarray | None = None,
) -> tuple[Columns, float]:
    """Columns of a training set, and their null deviance, the unit of the reconstruction loss.

    Parameters
    ----------
    X : ndarray, SparseRows, TableRows or MeasuredRows
        Rows as the networks see them.
    sample_weight : ndarray of shape (n_samples,) or None
    likelihood : str
        Of numbers.
    standardize : bool
        Whether they are centred and scaled.
    table : Table or None
        What the columns are, where cells may be missing or are not numbers.
    rows : ndarray of int or None
        Rows of X that are trained on; None for all.
    """
    if rows is not None and sample_weight is not None and not sample_weight[rows].any():
        rows = None  # no weight was left to the training rows
    scaling = column_scaling(X, sample_weight, rows)
    center, scale, knee = scaling.mean, scaling.scale, KNEE
    if not standardize:
        center, scale, knee = np.zeros_like(center), np.ones_like(scale), math.inf
    if table is None:
        made = make_likelihood(likelihood, center, scale, scaling.mean, knee)
    else:
        kinds = tuple(kind.likelihood for kind in table.kinds)
        widths = tuple(kind.width for kind in table.kinds)
        for start, width in zip(table.starts, widths, strict=True):
            if width > 1 and standardize:
                p = scaling.mean[start : start + width]
                # The block of a category has the variance of one number.
                scale[start : start + width] = math.sqrt(max(1 - float(p @ p), _LEAST_VARIANCE))
        # What a number loses to its mean is 1 for a Gaussian one, and near it for others.
        made = make_product(likelihood, kinds, widths, center, scale, scaling.mean, knee, 1.0)
    columns = Columns(made, X.dtype, standardize and bool(scaling.by_range.any()))
    if scaling.constant.all():
        return columns, 1.0
    return columns, columns.null_deviance(X, sample_weight, rows)


def check_domain(likelihood: str, name: str, X: Any, table: Table | None = None) -> None:
    """ValueError where a likelihood has no place for values of X, an array called `name`."""
    if LIKELIHOODS[likelihood].check_domain(-math.inf, math.inf) is None:
        return  # it takes all values
    lowest, highest = column_ranges(X)
    if table is not None:
        of_numbers = [
            start
            for start, kind in zip(table.starts, table.kinds, strict=True)
            if kind.likelihood == "number"
        ]
        lowest, highest = lowest[of_numbers], highest[of_numbers]
    lowest, highest = lowest[~np.isnan(lowest)], highest[~np.isnan(highest)]
    if len(lowest) == 0:
        return
    problem = LIKELIHOODS[likelihood].check_domain(float(lowest.min()), float(highest.max()))
    if problem is not None:
        raise ValueError(f'likelihood="{likelihood}": {name} {problem}')

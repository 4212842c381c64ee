"""Centre and scale of the columns, in one pass over chunks of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from torch import Tensor

# Rows are worked on in chunks of about this many values (32 MiB in float64): large enough to keep
# a matrix product busy, small enough to forget.
_VALUES_PER_CHUNK = 2**22

# Values further from the mean than this many units grow logarithmically. Standard deviations alone
# would send the rare values of a mostly constant column to +50, where they rule the loss and the
# codes; a normal sample of up to 100,000 rows stays within 5 and is left as it is.
KNEE = 5.0

# Columns that are measured on one bounded scale, such as pixels, end at this many units: there the
# range is the unit, and a column that hardly varies is one that hardly matters.
_SHARED_RANGE = 2.0


def chunk_size(n_values_per_row: int) -> int:
    """Number of rows to work on at a time."""
    return max(1, _VALUES_PER_CHUNK // max(1, n_values_per_row))


def column_ranges(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each column, of the cells that are there; NaN of none."""
    if isinstance(X, MeasuredRows):
        return X.ranges
    if isinstance(X, np.ndarray):
        lowest, highest = X.min(axis=0), X.max(axis=0)
        if not np.isnan(lowest).any():
            return lowest, highest
    lowest = np.full(X.shape[1], np.nan, dtype=X.dtype)
    highest = lowest.copy()
    for rows in gen_batches(X.shape[0], chunk_size(X.shape[1])):
        chunk = X[rows]
        np.fmin(lowest, np.fmin.reduce(chunk, axis=0), out=lowest)
        np.fmax(highest, np.fmax.reduce(chunk, axis=0), out=highest)
    return lowest, highest


def n_varying_columns(X: Any) -> int:
    """Number of columns with more than one value."""
    # Where all vary among the first rows, there is no need to look at the others.
    heads = () if isinstance(X, MeasuredRows) else (X[: chunk_size(X.shape[1])],)
    for rows in (*heads, X):
        lowest, highest = column_ranges(rows)
        n_varying = int(np.count_nonzero(lowest < highest))
        if n_varying == X.shape[1]:
            break
    return n_varying


class ColumnScaling(NamedTuple):
    """What the columns of a training set are scaled by, arrays (n_features,) in float64.

    `constant` and `by_range` tell, as bools, which columns are constant up to rounding, and which
    are scaled by their range: all or none.
    """

    mean: np.ndarray
    scale: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    constant: np.ndarray
    by_range: np.ndarray


class MeasuredRows:
    """Rows of which everything is known that the columns need: no pass over them is for free.

    Parameters
    ----------
    n_rows : int
    scaling : ColumnScaling
        Of those that count.
    ranges : tuple of two ndarray of shape (n_features,)
        Smallest and largest value of each column of all of them.
    sample : ndarray of shape (n_sampled, n_features)
        Some of them, drawn at random.
    positions : ndarray of int of shape (n_sampled,)
        Which these are.
    """

    def __init__(
        self,
        n_rows: int,
        scaling: ColumnScaling,
        ranges: tuple[np.ndarray, np.ndarray],
        sample: np.ndarray,
        positions: np.ndarray,
    ) -> None:
        self.shape = (n_rows, sample.shape[1])
        self.dtype = sample.dtype
        self.scaling = scaling
        self.ranges = ranges
        self.sample = sample
        self.positions = positions

    def __len__(self) -> int:
        return self.shape[0]


class ColumnSums:
    """Moments and extremes of columns, from chunks of rows that are forgotten.

    Parameters
    ----------
    n_features : int
    """

    def __init__(self, n_features: int) -> None:
        self._scaler = StandardScaler()
        self.lowest, self.highest = np.full(n_features, np.inf), np.full(n_features, -np.inf)

    def add(self, chunk: np.ndarray, weight: np.ndarray | None) -> None:
        """Take rows in, float64, with their weights."""
        with np.errstate(over="ignore", invalid="ignore"):  # overflow is checked in the end
            self._scaler.partial_fit(chunk, sample_weight=weight)
        smallest, largest = column_ranges(chunk)
        np.fmin(self.lowest, smallest, out=self.lowest)
        np.fmax(self.highest, largest, out=self.highest)

    def merge(self, others: Sequence[ColumnSums]) -> None:
        """Take in what others have seen (Chan, Golub and LeVeque, 1983, for two of them)."""
        seen = [sums for sums in (self, *others) if hasattr(sums._scaler, "mean_")]
        if not others or not seen:
            return
        n, mean, variance = (
            np.stack([np.broadcast_to(getattr(s._scaler, name), s.lowest.shape) for s in seen])
            for name in ("n_samples_seen_", "mean_", "var_")
        )
        n, mean, variance = n.astype(np.float64), np.nan_to_num(mean), np.nan_to_num(variance)
        total = n.sum(axis=0).clip(min=np.finfo(float).tiny)
        center = (n * mean).sum(axis=0) / total
        variance = (n * (variance + np.square(mean - center))).sum(axis=0) / total
        # As in StandardScaler, whose bound is that of Chan et al. for the rounding of a variance.
        eps = np.finfo(np.float64).eps
        bound = total * eps * variance + np.square(total * center * eps)
        self._scaler.n_samples_seen_ = total
        self._scaler.mean_, self._scaler.var_ = center, variance
        self._scaler.scale_ = np.where(variance <= bound, 1.0, np.sqrt(variance))
        for sums in others:
            np.fmin(self.lowest, sums.lowest, out=self.lowest)
            np.fmax(self.highest, sums.highest, out=self.highest)

    def scaling(self) -> ColumnScaling:
        """What the columns are scaled by.

        Raises
        ------
        ValueError
            If the variance of a column overflows.
        """
        scaler, lowest, highest = self._scaler, self.lowest, self.highest
        # Weights make the variance of a constant column negative by rounding.
        center, scale, variance = scaler.mean_, scaler.scale_, scaler.var_.clip(min=0)
        # Columns without a single cell: any centre serves.
        empty = np.isinf(lowest)
        for values in (center, variance, lowest, highest):
            values[empty] = 0
        if not (np.isfinite(center).all() and np.isfinite(variance).all()):
            raise ValueError(
                "X: the variance of a column overflows float64; the largest absolute value is "
                f"{max(-lowest.min(), highest.max()):g}. Divide X by a constant."
            )
        constant = variance == 0
        # StandardScaler gives columns that are constant up to rounding the scale 1.
        constant |= (scale == 1) & (np.sqrt(variance) != 1)
        # The mean of equal values may differ from them by rounding.
        center = np.where(lowest == highest, lowest, center)
        deviation = np.maximum(highest - center, center - lowest)
        unit = np.where(constant, np.maximum(1.0, deviation), scale)
        shared = _share_a_range(center, variance, lowest, highest, constant)
        scale = np.maximum(unit, deviation / _SHARED_RANGE) if shared else unit
        by_range = np.full(len(center), shared)
        return ColumnScaling(center, scale, lowest, highest, constant, by_range)


def column_scaling(
    X: Any, sample_weight: np.ndarray | None, rows: np.ndarray | None = None
) -> ColumnScaling:
    """Mean, scale and range of each column.

    The scale is the standard deviation, or half of the largest distance from the mean where most
    columns share a range. It is 1 where a column is constant up to rounding, or that rounding where
    it is more than 1.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), or MeasuredRows
        NaN is a missing cell, which does not count.
    sample_weight : ndarray of shape (n_samples,) or None
        Rows of weight 0 do not count.
    rows : ndarray of int or None, default=None
        Rows that count at all; None for all.

    Raises
    ------
    ValueError
        If the variance of a column overflows.
    """
    if isinstance(X, MeasuredRows):
        return X.scaling
    counted = rows
    if sample_weight is not None and (sample_weight == 0).any():
        counted = np.flatnonzero(sample_weight) if rows is None else rows[sample_weight[rows] > 0]
    n_rows, n_features = X.shape if counted is None else (len(counted), X.shape[1])
    sums = ColumnSums(n_features)
    for part in gen_batches(n_rows, chunk_size(n_features)):
        indices = part if counted is None else counted[part]
        chunk = np.asarray(X[indices], dtype=np.float64)
        sums.add(chunk, None if sample_weight is None else sample_weight[indices])
    return sums.scaling()


def _share_a_range(
    mean: np.ndarray,
    variance: np.ndarray,
    lowest: np.ndarray,
    highest: np.ndarray,
    constant: np.ndarray,
) -> bool:
    """Whether most columns reach from exactly the same minimum to exactly the same maximum.

    Such columns are measured in one unit: pixels, percentages, ratings. Columns of two values
    always reach from one to the other and do not count as evidence.
    """
    # The variance of two values a share p apart is the largest there is between them.
    two_valued = variance > (highest - mean) * (mean - lowest) * (1 - 1e-9)
    candidates = ~constant & ~two_valued
    if candidates.sum() < 2:
        return False
    ranges = np.stack([lowest[candidates], highest[candidates]], axis=1)
    largest_group = np.unique(ranges, axis=0, return_counts=True)[1].max()
    return bool(largest_group > 1 and 2 * largest_group >= (~constant).sum())


def squashed(x: Tensor, knee: float = KNEE) -> Tensor:
    """Standardised values with what lies beyond the knee growing logarithmically.

    Strictly increasing, smooth to first order, and finite also where a square of x would not be.
    An infinite knee leaves finite values as they are. Where there is nothing to do, x itself is
    returned.
    """
    if _is_within(x, knee):
        return x.contiguous()
    largest = torch.finfo(x.dtype).max
    x = x.clamp(-largest, largest).contiguous()
    if math.isinf(knee):
        return x
    if not _can_be_looked_at(x):
        return _beyond_knee(x, (x.abs() / knee).clamp(min=1))
    # Few values lie out there, if any, and logarithms take time.
    values = x.view(-1)
    chosen = (values.abs() > knee).nonzero().squeeze(1)
    far = values[chosen]
    values[chosen] = _beyond_knee(far, far.abs() / knee)
    return x


def _beyond_knee(x: Tensor, excess: Tensor) -> Tensor:
    return x / excess * (1 + excess.log())


def _is_within(x: Tensor, knee: float) -> bool:
    """Whether it is known that all values are finite and none lies beyond the knee."""
    if not _can_be_looked_at(x) or x.numel() == 0:
        return False
    lowest, highest = (v.item() for v in x.aminmax())
    furthest = max(-lowest, highest)
    return math.isfinite(furthest) and furthest <= knee


def _can_be_looked_at(x: Tensor) -> bool:
    """Whether values may decide what is done: elsewhere one would have to wait for a device, or
    there are none, where a graph is made of the operations."""
    return x.device.type == "cpu" and not torch.compiler.is_exporting()


def unsquashed(y: Tensor, knee: float = KNEE) -> Tensor:
    """The inverse of `squashed`; y itself where there is nothing to do."""
    if _is_within(y, knee):
        return y
    excess = (y.abs() / knee - 1).clamp(min=0)
    return torch.where(excess > 0, y.sign() * knee * excess.exp(), y)

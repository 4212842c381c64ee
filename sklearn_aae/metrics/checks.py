"""Checks of the arguments of metrics, and distances in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import pairwise_distances_chunked
from sklearn.utils import check_array, column_or_1d

FloatArray = NDArray[np.float64]


def check_rows(X: ArrayLike, name: str, *, min_samples: int, way_out: str) -> FloatArray:
    """Return X as a finite float64 matrix with at least `min_samples` rows."""
    # Zero rows pass check_array so that the message below, which has the way out, is the one seen.
    array: FloatArray = check_array(X, dtype=np.float64, input_name=name, ensure_min_samples=0)
    if array.shape[0] < min_samples:
        raise ValueError(
            f"{name} must have at least {min_samples} rows (n_samples), got {array.shape[0]}: "
            f"{way_out}."
        )
    return array


def check_same_columns(X: FloatArray, x_name: str, Y: FloatArray, y_name: str) -> None:
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"{x_name} and {y_name} must have the same number of columns (n_features), got "
            f"{X.shape[1]} and {Y.shape[1]}: compute both with the same feature function."
        )


def check_option(value: object, name: str, options: Iterable[str]) -> None:
    if not isinstance(value, str) or value not in options:
        listed = ", ".join(repr(option) for option in options)
        raise ValueError(f"{name} must be one of {listed}, got {value!r}.")


def check_integer(value: object, name: str, *, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}.")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}.")
    return int(value)


def check_positive(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}.")
    number = float(value)
    if not 0.0 < number < np.inf:
        raise ValueError(f"{name} must be positive and finite, got {value!r}.")
    return number


def check_labels(labels: ArrayLike, name: str) -> NDArray[Any]:
    checked: NDArray[Any] = check_array(
        column_or_1d(labels), dtype=None, ensure_2d=False, ensure_min_samples=0, input_name=name
    )
    if checked.shape[0] == 0:
        raise ValueError(f"{name} must have at least 1 row, got 0: pass the labels of the rows.")
    return checked


def centre(*arrays: FloatArray) -> tuple[FloatArray, ...]:
    """Shift all arrays by one offset, which leaves every distance between their rows alone.

    scikit-learn expands ||x - y||^2 to ||x||^2 - 2 x'y + ||y||^2, which loses the digits that the
    rows share. The median rather than the mean: one far row must not take the precision of all.
    """
    offset = np.median(arrays[0], axis=0)
    return tuple(array - offset for array in arrays)


def squared_distance_chunks(
    X: FloatArray, Y: FloatArray | None = None
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield rows of the matrix of squared Euclidean distances, with the slice of X they belong to.

    A chunk is a fresh array as large as `sklearn.get_config()["working_memory"]` allows, which the
    caller may overwrite. With Y=None the diagonal is exactly zero.
    """
    start = 0
    for chunk in pairwise_distances_chunked(X, Y, metric="euclidean", squared=True):
        yield slice(start, start + chunk.shape[0]), chunk
        start += chunk.shape[0]

"""Collections of dask: their partitions, and answers for each of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import dask.array
import dask.dataframe
import distributed
import numpy as np

from sklearn_aae._workers.supervision import Rows


def is_lazy(X: Any) -> bool:
    return isinstance(X, (dask.array.Array, dask.dataframe.DataFrame))


def rows_of(X: Any) -> Rows:
    """The partitions of a collection of dask."""
    if not is_lazy(X):
        raise TypeError(
            "X must be a dask.array.Array or dask.dataframe.DataFrame, got "
            f"{type(X).__name__}. AdversarialAutoencoder trains on rows in memory and in other "
            "stores."
        )
    is_computed = bool(distributed.futures_of(X))
    if isinstance(X, dask.array.Array):
        if X.ndim != 2:
            raise ValueError(
                f"X has shape {X.shape}, and rows have to be flat: Expected 2D array, got "
                f"{X.ndim}D array instead. Pass X.reshape(len(X), -1)."
            )
        return Rows([*X.rechunk({1: -1}).to_delayed().ravel()], is_computed)
    return Rows([*X.to_delayed()], is_computed)


def answer_of(rows: Any, model: Any, method: str) -> Any:
    """What a method says of rows; of a frame, with its index."""
    answer = _of_rows(rows, model, method)
    if not hasattr(rows, "iloc"):
        return answer
    pandas: Any = import_module("pandas")
    if isinstance(answer, pandas.DataFrame):
        return answer
    if answer.ndim == 1:
        return pandas.Series(answer, index=rows.index, name=method)
    names = model.get_feature_names_out() if method == "transform" else rows.columns
    return pandas.DataFrame(answer, index=rows.index, columns=names)


def _of_rows(rows: Any, model: Any, method: str) -> Any:
    if len(rows) > 0:
        return getattr(model, method)(rows)
    dtype = np.int64 if method == "predict" else np.float64
    width = {"transform": model.n_components_, "reconstruct": model.n_features_in_}.get(method)
    return np.empty((0,) if width is None else (0, width), dtype=dtype)

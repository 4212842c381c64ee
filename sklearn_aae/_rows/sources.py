"""Rows that are not an array of floats, as chunks that are: sparse ones, and those with categories.

All that the rest of the house asks of rows is their number, `shape` and `dtype`, and a dense array
for a slice or positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.kinds import Kind
from sklearn_aae._rows.scaling import chunk_size


class SparseRows:
    """Rows of a sparse array, dense where they are asked for.

    Parameters
    ----------
    array : csr_array or csr_matrix of shape (n_rows, n_columns)
    """

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.array[rows].toarray()

    def arrays(self) -> Iterator[np.ndarray]:
        """All that the rows are made of."""
        yield from (self.array.data, self.array.indices, self.array.indptr)


class TableRows:
    """Rows of a table as the networks see them: categories as a block of 0 and 1.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns)
        One number for each cell; NaN or infinity where nothing is known of it.
    kinds : tuple of Kind
        Of the columns.
    """

    def __init__(self, codes: np.ndarray, kinds: tuple[Kind, ...]) -> None:
        self.codes = codes
        self.kinds = kinds
        self.shape = (len(codes), sum(kind.width for kind in kinds))
        self.dtype = codes.dtype

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> np.ndarray:
        codes = self.codes[rows]
        wide = np.empty((len(codes), self.shape[1]), dtype=self.dtype)
        start = 0
        for j, kind in enumerate(self.kinds):
            stop = start + kind.width
            if kind.likelihood == "category":
                wide[:, start:stop] = codes[:, [j]] == np.arange(kind.width)
                wide[~np.isfinite(codes[:, j]), start:stop] = np.nan
            else:
                wide[:, start] = codes[:, j]
            start = stop
        return wide

    def arrays(self) -> Iterator[np.ndarray]:
        """All that the rows are made of."""
        yield self.codes


def narrow(wide: np.ndarray, kinds: tuple[Kind, ...]) -> np.ndarray:
    """Codes of rows as wide as the networks see them; of a category, the most probable one."""
    if all(kind.likelihood != "category" for kind in kinds):
        return wide
    codes = np.empty((len(wide), len(kinds)), dtype=wide.dtype)
    start = 0
    for j, kind in enumerate(kinds):
        stop = start + kind.width
        if kind.likelihood == "category":
            codes[:, j] = wide[:, start:stop].argmax(axis=1)
            codes[np.isnan(wide[:, start]), j] = np.nan
        else:
            codes[:, j] = wide[:, start]
        start = stop
    return codes


def take(X: Any, positions: np.ndarray) -> np.ndarray:
    """Rows of X at positions, a dense array of its own."""
    return np.take(X, positions, axis=0) if isinstance(X, np.ndarray) else X[positions]


def is_sparse(X: Any) -> bool:
    """Whether rows of X, or those selected of it, are sparse."""
    return isinstance(X.array if isinstance(X, SelectedRows) else X, SparseRows)


def missing_cells(X: Any) -> np.ndarray | None:
    """Which cells nothing is known of, (n_rows, n_columns); None where there are none."""
    if is_sparse(X):
        return None
    if isinstance(X, SelectedRows):
        parts = gen_batches(len(X), chunk_size(X.shape[1]))
        missing = np.concatenate([_missing(X.array, X.positions[part]) for part in parts])
    else:
        missing = _missing(X, slice(None))
    return missing if missing.any() else None


def _missing(X: Any, rows: Any) -> np.ndarray:
    return ~np.isfinite(X.codes[rows]) if isinstance(X, TableRows) else np.isnan(X[rows])

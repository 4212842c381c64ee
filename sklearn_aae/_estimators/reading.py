"""Rows as users have them: checked, and as the networks see them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from sklearn_aae._rows.frames import Cells, is_frame, names_of
from sklearn_aae._rows.kinds import Boolean, Category, Number
from sklearn_aae._rows.sources import SparseRows, TableRows
from sklearn_aae._rows.stores import is_chunked
from sklearn_aae._rows.table import Table, columns_of_table, fit_table
from sklearn_aae._warnings import warn_user

_DTYPES = [np.float64, np.float32]

# What to do about errors of NumPy and scikit-learn that do not say it, by words in them.
_WAYS_OUT = {
    "could not convert": "Columns of text are categories in a data frame of pandas, polars or "
    "pyarrow, or where categorical_features names them.",
    "must be a string or a real number": "Dates, booleans and categories go into columns of a "
    "data frame of pandas, polars or pyarrow, one kind in each; other objects have no numbers.",
    "inhomogeneous": "All rows must have the same number of columns.",
    "contains infinity": "Replace infinite values, for example by NaN, which is a missing cell.",
}


class UnseenCategoryWarning(UserWarning):
    """A table has categories that `fit` has not seen, which count as missing.

    Examples
    --------
    To make them an error:

    >>> import warnings
    >>> from sklearn_aae import UnseenCategoryWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", UnseenCategoryWarning)
    """


class Given(NamedTuple):
    """Rows that a method was given.

    `rows` is what the networks see, `missing` tells which cells of columns nothing is known of and
    `unseen` which of these are categories that `fit` has not seen; None where there are none.
    `cells` are the columns as they came, where the rows are no array of numbers.
    """

    rows: Any
    missing: np.ndarray | None = None
    unseen: np.ndarray | None = None
    cells: list[Cells] | None = None


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Let errors about an array name it, also where those who raise them do not know its name."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if name in str(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def read_to_fit(estimator: Any, X: Any, *, min_samples: int = 2) -> tuple[Given, Table | None]:
    """Rows that a fit is given, and what is learned of their columns; None of a plain array."""
    _check_in_memory(X)
    chosen = estimator.categorical_features
    by_dtype = chosen is None or (isinstance(chosen, str) and chosen == "from_dtype")
    _check_shape(X)
    if not is_frame(X) and by_dtype:
        given = _array(estimator, X, reset=True, min_samples=min_samples)
        return given, None if given.missing is None else table_of_array(given.rows)
    _check_names(estimator, X, reset=True, min_samples=min_samples)
    X = X if is_frame(X) else _as_array(X)
    columns, library = columns_of_table(X, None)
    table = fit_table(columns, library, chosen)
    return _of_table(estimator, X, table, columns, reset=True), table


def table_of_array(rows: Any) -> Table:
    """The columns of an array of numbers some of which are missing."""
    n_rows, n = rows.shape
    names = tuple(f"x{j}" for j in range(n))
    return Table(names, (Number(),) * n, ((rows.dtype.name,),) * n, None, True, n_rows)


def read(estimator: Any, X: Any, table: Table | None, *, min_samples: int = 1) -> Given:
    """Rows that a method of a fitted estimator is given."""
    _check_in_memory(X)
    _check_shape(X)
    if table is None or (not is_frame(X) and _is_numeric(table)):
        return _array(estimator, X, reset=False, min_samples=min_samples)
    _check_names(estimator, X, reset=False, min_samples=min_samples)
    X = X if is_frame(X) else _as_array(X)
    columns, _ = columns_of_table(X, table.names)
    return _of_table(estimator, X, table, columns, reset=False)


def _of_table(estimator: Any, X: Any, table: Table, columns: list[Cells], *, reset: bool) -> Given:
    codes = table.codes(columns)
    _check_finite(table, codes)
    if _is_numeric(table) and table.library != "pyarrow":
        # As an array, in its dtype and order of elements.
        return _array(estimator, X, reset=reset, min_samples=1)._replace(cells=columns)
    unseen = np.isinf(codes)
    said = table.unseen(columns, codes)
    if said:
        warn_user(
            f"X holds categories that fit has not seen, in {'; '.join(said)}. They count as "
            "missing, and as outlying in scores.",
            UnseenCategoryWarning,
        )
    missing = ~np.isfinite(codes)
    return Given(
        TableRows(codes, table.kinds) if table.has_categories else codes,
        missing if missing.any() else None,
        unseen if unseen.any() else None,
        columns,
    )


def _array(estimator: Any, X: Any, *, reset: bool, min_samples: int) -> Given:
    _check_kind(X)
    # scikit-learn adds all values up to see whether they are finite. The sum may not be.
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            rows = validate_data(
                estimator,
                X,
                reset=reset,
                dtype=_DTYPES,
                accept_sparse="csr",
                ensure_all_finite="allow-nan",
                ensure_min_samples=min_samples,
            )
        except (TypeError, ValueError) as error:
            ways = [way for sign, way in _WAYS_OUT.items() if sign in str(error)]
            if not ways:
                raise
            kind = TypeError if isinstance(error, TypeError) else ValueError
            said = str(error).rstrip(".")
            raise kind(f"{said if 'X' in said else f'X: {said}'}. {ways[0]}") from error
    if sparse.issparse(rows):
        if np.isnan(rows.data).any():
            raise ValueError(
                "X is sparse and holds NaN; cells that a sparse array does not store are 0, none "
                "is missing. Replace NaN, or pass a dense array or a data frame."
            )
        return Given(SparseRows(rows))
    # A minimum is NaN where any cell is, and takes a tenth of the time of looking at each.
    return Given(rows, np.isnan(rows) if np.isnan(rows.min()) else None)


def _check_kind(X: Any) -> None:
    """Refuse numbers that are none on a line, and those that mean moments."""
    dtype = getattr(X, "dtype", None)
    if not isinstance(dtype, np.dtype):
        return
    if dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: X is of dtype {dtype}. Pass real and imaginary parts as "
            "columns of their own, for example np.hstack([X.real, X.imag])."
        )
    if dtype.kind in "mM":
        raise ValueError(
            f"X holds {'dates' if dtype.kind == 'M' else 'durations'}, of dtype {dtype}. Pass them "
            "in a data frame, where they come back as such, or as numbers since a day of your "
            "choice."
        )


def _is_numeric(table: Table) -> bool:
    return all(isinstance(kind, Number) for kind in table.kinds)


def _check_in_memory(X: Any) -> None:
    """Refuse what is no array; stores that can become one do."""
    if is_chunked(X) and not hasattr(X, "__array__"):
        raise TypeError(
            f"X is a {type(X).__name__}, rows in chunks, and this takes rows in memory. fit, "
            "partial_fit, transform, reconstruct, score_samples and what follows from scores, of "
            "AdversarialAutoencoder, take chunks. Pass one chunk, or an array of all rows."
        )


def _check_shape(X: Any) -> None:
    shape = getattr(X, "shape", ())
    if len(shape) > 2:
        example = f", image_shape={tuple(shape[1:])}" if len(shape) == 4 else ""
        raise ValueError(
            f"X has shape {tuple(shape)}, and rows have to be flat: Expected 2D array, got "
            f"{len(shape)}D array instead. Pass X.reshape(len(X), -1){example}; of images, "
            "image_shape=(channels, height, width) tells the networks their shape."
        )


def _check_names(estimator: Any, X: Any, *, reset: bool, min_samples: int) -> None:
    """Names and number of columns, and number of rows, of what is read column by column."""
    if is_frame(X):
        names_of(X)
    else:
        X = _as_array(X)
    n = X.shape[0]
    if n < min_samples or X.shape[1] == 0:
        what = f"{n} sample(s)" if n < min_samples else "0 feature(s)"
        least = min_samples if n < min_samples else 1
        raise ValueError(
            f"Found array with {what} (shape={tuple(X.shape)}) while a minimum of {least} is "
            f"required by {type(estimator).__name__}."
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)


def _as_array(X: Any) -> np.ndarray:
    array = np.asarray(X) if hasattr(X, "dtype") else np.array(X, dtype=object)
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead: X has shape {array.shape}. All "
            "rows must have the same number of columns."
        )
    return array


def _check_finite(table: Table, codes: np.ndarray) -> None:
    of_numbers = np.array([not isinstance(kind, Category) for kind in table.kinds])
    infinite = np.isinf(codes).any(axis=0) & of_numbers
    if infinite.any():
        name = table.names[int(infinite.argmax())]
        raise ValueError(
            f"Input X contains infinity: column {name!r} does. Replace infinite values, for "
            "example by NaN, which is a missing cell."
        )
    for j, kind in enumerate(table.kinds):
        odd = isinstance(kind, Boolean) and ~(np.isnan(codes[:, j]) | np.isin(codes[:, j], (0, 1)))
        if np.any(odd):
            raise ValueError(
                f"X: column {table.names[j]!r} held booleans in fit, and holds other numbers than "
                f"0 and 1 now, such as {codes[odd, j][0]:g}."
            )

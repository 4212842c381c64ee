"""Rows in chunks on their way into `fit`: opened, looked at once, and a sample that stands for all.

And through the methods that take them chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, wraps
from typing import Any, TypeVar, cast

import narwhals as nw
import numpy as np

from sklearn_aae._estimators.reading import Given, read, read_to_fit, table_of_array
from sklearn_aae._rows.census import Census
from sklearn_aae._rows.chunked import ChunkedRows, Surveyed, draw_rows, survey
from sklearn_aae._rows.columns import check_domain
from sklearn_aae._rows.group import Group
from sklearn_aae._rows.kinds import Number
from sklearn_aae._rows.sources import SparseRows, TableRows
from sklearn_aae._rows.stores import Chunk, chunks_of, is_chunked, len_of, pieces
from sklearn_aae._rows.table import Table, columns_of_table
from sklearn_aae._training.plan import Data, n_to_hold_out

# A chunk is worked on in pieces of about this many values: as large as it was read, with the copies
# that a table makes on its way, it would take several times its own memory.
_VALUES_PER_PIECE = 2**19

_Method = TypeVar("_Method", bound=Callable[..., Any])


def open_chunks(
    estimator: Any, X: Any, table: Table | None, group: Group, *, reset: bool
) -> tuple[ChunkedRows, Table | None]:
    """Rows in chunks that a fit is given, and what their columns are.

    Without a look at all of them, where it takes none to count them and to know the columns.
    """
    chunks = chunks_of(X) or []
    first = next((head for head in map(_head, chunks, range(len(chunks))) if len_of(head)), None)
    if first is None:
        raise ValueError(
            f"X has no rows: Found array with 0 sample(s) in {len(chunks)} chunks while a minimum "
            f"of 2 is required by {type(estimator).__name__}."
        )
    if reset:
        given, table = read_to_fit(estimator, first, min_samples=1)
        if table is not None and table.library is None and _only_numbers(table):
            table = None  # whether cells of an array are missing will show
    else:
        given = read(estimator, first, table)
    dtype = _dtype(given)
    lengths = [chunk.n_rows for chunk in chunks]
    learning = reset and table is not None and not _only_numbers(table)
    if None in lengths or learning:
        census = Census(estimator.categorical_features)
        for i, chunk in enumerate(chunks):
            rows = _read(chunk, i)
            lengths[i] = len_of(rows)
            if learning and lengths[i]:
                with _naming(i):
                    census.add(*columns_of_table(_two_dimensional(rows), None))
        if learning:
            # All count in the same order, and come to the same table.
            census, *others = group.gather(census)
            census.merge(others)
            table = census.table()

    def reader(i: int, chunk: Chunk) -> Callable[[], np.ndarray]:
        return lambda: _cells(estimator, _read(chunk, i), i, table, dtype)

    rows = ChunkedRows(
        [reader(i, chunk) for i, chunk in enumerate(chunks)],
        [int(n or 0) for n in lengths],
        None if table is None else table.kinds,
        estimator.n_features_in_,
        dtype,
        group,
    )
    if len(rows) < 2:
        raise ValueError(
            f"X has {len(rows)} row: Found array with 1 sample(s) in {len(chunks)} chunks while a "
            f"minimum of 2 is required by {type(estimator).__name__}."
        )
    return rows, table


def look_at_chunks(
    estimator: Any, data: Data, random_state: np.random.RandomState, *, reset: bool, divided: bool
) -> Data:
    """Rows of which everything is known that `fit` asks for, less those that are held out.

    Parameters
    ----------
    estimator : estimator
    data : Data
        With ChunkedRows.
    random_state : RandomState
        Of the rows that are held out, and of the sample.
    reset : bool
        Whether columns are learned; if not, there may be missing cells only where there were some.
    divided : bool
        Whether rows are held out, which become `X_val`.
    """
    n, weight = len(data.X), data.sample_weight
    n_held_out = 0
    if divided and data.X_val is None:
        n_held_out = n_to_hold_out(
            n, estimator.validation_fraction, required=estimator.early_stopping
        )
    drawn = draw_rows(n, data.X.shape[1], n_held_out, random_state)
    if weight is not None and not np.delete(weight, drawn.held_out).any():
        drawn = draw_rows(n, data.X.shape[1], 0, random_state)
    told = survey(data.X, drawn, weight)
    table = data.table
    if reset and table is None and told.has_gaps:
        table = replace(table_of_array(told.training.sample), n_rows=n)
    elif reset and table is not None:
        has_gaps = told.has_gaps or not _only_numbers(table)
        table = replace(table, has_gaps=has_gaps, n_rows=n)
    elif told.has_gaps:
        check_no_new_gaps("X", True, table)
    X_val = data.X_val if len(told.held_out) == 0 else told.held_out
    for rows in (told.training, told.held_out) if len(told.held_out) else (told.training,):
        check_domain(estimator.likelihood, "X", rows, table)

    def others(values: Any) -> Any:
        values = None if values is None else np.asarray(values)
        return values if values is None or len(values) != n else np.delete(values, drawn.held_out)

    return data._replace(
        X=told.training, y=others(data.y), sample_weight=others(weight), X_val=X_val, table=table
    )


def sample_of(data: Data) -> Data:
    """Rows in memory that stand for all: all that there are, or the sample of a survey."""
    if not isinstance(data.X, Surveyed):
        return data
    weight = values_of_sample(data, data.sample_weight)
    return data._replace(
        X=data.X.sample,
        y=values_of_sample(data, data.y),
        sample_weight=weight if weight is None or weight.any() else None,
    )


def values_of_sample(data: Data, values: np.ndarray | None) -> np.ndarray | None:
    """Of values of all rows, those of the rows that stand for all."""
    if values is None or not isinstance(data.X, Surveyed):
        return values
    return values[data.X.positions]


def check_no_new_gaps(name: str, gaps: bool, table: Table | None) -> None:
    """Refuse missing cells where the networks were made for rows without any."""
    if gaps and (table is None or not table.has_gaps):
        raise ValueError(
            f"{name} has missing cells, and the rows that the networks were built for had none: "
            "Input contains NaN. Let the X of the first fit have some, or fill them in first, for "
            "example with impute."
        )


def in_chunks(method: _Method) -> _Method:
    """Let a method of rows take them in chunks too, and join what it says of each."""

    @wraps(method)
    def of_rows(self: Any, X: Any) -> Any:
        if not is_chunked(X):
            return method(self, X)
        parts = map(partial(method, self), _pieces(X))  # a generator would hold the last piece
        first = next(parts, None)
        if first is None:
            raise ValueError(
                f"X has no rows: Found array with 0 sample(s) in {X!r} while a minimum of 1 is "
                f"required by {type(self).__name__}."
            )
        n_rows = [chunk.n_rows for chunk in chunks_of(X) or []]
        if not isinstance(first, np.ndarray):
            frames = [nw.from_native(part, eager_only=True) for part in (first, *parts)]
            return nw.concat(frames).to_native()
        if None in n_rows:
            return np.concatenate([first, *parts])
        # Parts that are joined in the end would be in memory twice.
        answer = np.empty((sum(n or 0 for n in n_rows), *first.shape[1:]), dtype=first.dtype)
        start = 0
        for part in (first, *parts):
            answer[start : start + len(part)] = part
            start += len(part)
        return answer

    return cast(_Method, of_rows)


def mean_in_chunks(score: Callable[[Any], float], X: Any) -> float:
    """Mean over all rows of a mean over those of a chunk."""
    if not is_chunked(X):
        return score(X)
    parts = [(score(rows), len_of(rows)) for rows in _pieces(X)]
    values, n = np.array(parts).reshape(-1, 2).T
    return float(np.average(values, weights=n))


def _pieces(X: Any) -> Iterator[Any]:
    """All rows, in arrays or frames of a moderate number of values."""
    for i, chunk in enumerate(chunks_of(X) or []):
        yield from _pieces_of(chunk, i)


def _pieces_of(chunk: Chunk, i: int) -> Iterator[Any]:
    # A function of its own: the chunk is let go before the next one is read.
    rows = _read(chunk, i)
    with _naming(i):
        yield from pieces(rows, _rows_of_piece(rows))


def _rows_of_piece(rows: Any) -> int:
    shape: tuple[int, ...] = getattr(rows, "shape", ())
    return max(1, _VALUES_PER_PIECE // max(1, shape[1] if len(shape) > 1 else 1))


def _head(chunk: Chunk, i: int) -> Any:
    """Some rows of a chunk, which tell what its columns are."""
    rows = _read(chunk, i)
    return next(pieces(rows, _rows_of_piece(rows)), rows)


def _read(chunk: Chunk, i: int) -> Any:
    with _naming(i):
        rows = chunk.read()
        if not hasattr(rows, "shape") and not hasattr(rows, "__len__"):
            raise TypeError(f"X: a chunk is an array or a data frame, got {rows!r}.")
        return rows


def _dtype(given: Given) -> np.dtype:
    """In which rows are held: of columns that are all of single precision, in that."""
    if given.cells is not None and all(c.dtype[0].lower() == "float32" for c in given.cells):
        return np.dtype(np.float32)
    return np.dtype(given.rows.dtype)


def _cells(estimator: Any, rows: Any, i: int, table: Table | None, dtype: np.dtype) -> np.ndarray:
    """A chunk as an array of one number for each cell, in a dtype that all chunks share."""
    n_rows = len_of(rows)
    cells = np.empty((n_rows, estimator.n_features_in_), dtype=dtype)
    start = 0
    with _naming(i):
        for piece in pieces(rows, _rows_of_piece(rows)):
            given = read(estimator, piece, table)
            part = given.rows
            if isinstance(part, SparseRows):
                part = part[:]
            elif isinstance(part, TableRows):
                part = part.codes
            if given.cells is None and np.result_type(part.dtype, dtype) != dtype:
                raise ValueError(
                    f"X: chunks have different dtypes: {dtype} in the first and {part.dtype} in "
                    "this one. Give all the same."
                )
            cells[start : start + len(part)] = part
            start += len(part)
    return cells


def _two_dimensional(rows: Any) -> Any:
    return rows if hasattr(rows, "shape") else np.asarray(rows)


def _only_numbers(table: Table) -> bool:
    return all(isinstance(kind, Number) for kind in table.kinds)


@contextmanager
def _naming(i: int) -> Iterator[None]:
    """Say of errors which chunk they come from."""
    try:
        yield
    except Exception as error:
        error.add_note(f"In chunk {i} of X, counted from 0.")
        raise

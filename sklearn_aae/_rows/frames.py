"""Data frames of pandas, polars and pyarrow as columns of numbers or texts, and back."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

_MICROSECOND = 1e-6


class Cells(NamedTuple):
    """One column of a frame.

    `role` is "number", "boolean", "category", "date" or "duration". `values` are float64 with NaN
    where a cell is missing (numbers, 0 and 1, seconds), or objects with None (categories). `dtype`
    says what the column is made of again: its name in the library, then its arguments.
    """

    name: Any
    role: str
    values: np.ndarray
    dtype: tuple[Any, ...]


def is_frame(X: Any) -> bool:
    """Whether X is a data frame of pandas or polars, or a table of pyarrow."""
    if nw.dependencies.is_polars_lazyframe(X):
        raise TypeError(
            "X is a polars.LazyFrame, which holds no rows yet. Pass X.collect() instead."
        )
    known = nw.dependencies
    return bool(
        known.is_pandas_dataframe(X) or known.is_polars_dataframe(X) or known.is_pyarrow_table(X)
    )


def library_of(X: Any) -> str:
    """ "pandas", "polars" or "pyarrow"."""
    return nw.from_native(X, eager_only=True).implementation.value


def names_of(X: Any) -> tuple[Any, ...]:
    """Names of the columns, each of which has to be one name, and its own."""
    columns: Any = getattr(X, "columns", None)
    if getattr(columns, "nlevels", 1) > 1:
        raise ValueError(
            f"X has columns of {columns.nlevels} levels, a MultiIndex; each column needs one name. "
            'Join the levels, for example X.columns = X.columns.map("_".join).'
        )
    names = tuple(X.column_names if nw.dependencies.is_pyarrow_table(X) else columns)
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"X has several columns of one name: {repeated}. Names tell columns apart: rename them."
        )
    return names


def columns_of(X: Any) -> list[Cells]:
    """The columns of a frame.

    Raises
    ------
    TypeError
        If the cells of a column are of a type, or a mixture of types, that has no meaning here.
    """
    names = names_of(X)
    frame = nw.from_native(X, eager_only=True)
    return [_cells(name, s) for name, s in zip(names, frame.iter_columns(), strict=True)]


def _cells(name: Any, series: nw.Series[Any]) -> Cells:
    dtype, of_library = series.dtype, _dtype(series)
    if dtype == nw.Boolean:
        return Cells(name, "boolean", _floats(series), of_library)
    if dtype.is_numeric():
        return Cells(name, "number", _floats(series), of_library)
    if dtype in (nw.Date, nw.Datetime):
        seconds = _floats(series.dt.timestamp("us")) * _MICROSECOND
        return Cells(name, "date", seconds, of_library)
    if dtype == nw.Duration:
        seconds = _floats(series.dt.total_microseconds()) * _MICROSECOND
        return Cells(name, "duration", seconds, of_library)
    if dtype in (nw.Categorical, nw.Enum, nw.String, nw.Object):
        return of_objects(name, np.array([*series.to_list(), None], dtype=object)[:-1], of_library)
    raise TypeError(_no_meaning(name, str(of_library[0])))


def of_objects(name: Any, values: np.ndarray, dtype: tuple[Any, ...]) -> Cells:
    """A column of Python objects: all strings, all booleans or all numbers."""
    cells = [None if _is_missing(cell) else cell for cell in values.tolist()]
    types = {type(cell) for cell in cells if cell is not None}
    if all(issubclass(t, str) for t in types) or dtype[0] in ("category", "Categorical", "Enum"):
        mixed = len({issubclass(t, str) for t in types}) > 1
        unknown = [t for t in types if not issubclass(t, (str, bool, int, float, np.generic))]
        if not mixed and not unknown:
            return Cells(name, "category", np.array([*cells, None], dtype=object)[:-1], dtype)
    numbers = np.array([np.nan if cell is None else cell for cell in cells], dtype=object)
    if all(issubclass(t, (bool, np.bool_)) for t in types):
        return Cells(name, "boolean", numbers.astype(np.float64), dtype)
    if all(issubclass(t, (int, float, np.number)) and not _is_bool(t) for t in types):
        return Cells(name, "number", numbers.astype(np.float64), ("float64",))
    raise TypeError(_no_meaning(name, " and ".join(sorted(t.__name__ for t in types))))


def _is_bool(kind: type) -> bool:
    return issubclass(kind, (bool, np.bool_))


def _is_missing(cell: Any) -> bool:
    """None, NaN, NaT or pandas.NA."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, float) and cell != cell


def _no_meaning(name: Any, what: str) -> str:
    return (
        f"X: column {name!r} holds {what}. A column is of numbers, booleans, strings, categories, "
        "dates or durations, all of one type, and missing cells. Convert it, for example with "
        "astype(str), pandas.to_numeric or pandas.to_datetime, or leave it out."
    )


def _floats(series: nw.Series[Any]) -> np.ndarray:
    return np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)


def _dtype(series: nw.Series[Any]) -> tuple[Any, ...]:
    """What a column is made of, as plain values."""
    dtype = series.dtype
    if series.implementation.is_pandas():
        native = series.to_native().dtype
        if dtype in (nw.Categorical, nw.Enum):
            kept = tuple(native.categories.tolist())
            return "category", kept, str(native.categories.dtype), bool(native.ordered)
        return (str(native),)
    if isinstance(dtype, nw.Enum):
        return "Enum", tuple(dtype.categories)
    if isinstance(dtype, nw.Datetime):
        return "Datetime", dtype.time_unit, dtype.time_zone
    if isinstance(dtype, nw.Duration):
        return "Duration", dtype.time_unit
    return (str(dtype),)


def frame_of(library: str, columns: list[Cells], like: Any = None) -> Any:
    """A frame of a library; with the index of `like` where both are of pandas."""
    if library == "pandas":
        return _pandas_frame(columns, like)
    series = {c.name: _series(c, library) for c in columns}
    return nw.from_dict(series).to_native()


def _times(seconds: np.ndarray) -> np.ndarray:
    """Whole microseconds, int64; those of missing cells are the smallest number there is."""
    known = np.isfinite(seconds)
    rounded = np.round(np.where(known, seconds, 0) / _MICROSECOND)
    return np.where(known, rounded, np.iinfo(np.int64).min).astype(np.int64)


def _pandas_frame(columns: list[Cells], like: Any) -> Any:
    pandas: Any = import_module("pandas")
    index = like.index if isinstance(like, pandas.DataFrame) else None
    made = [_pandas_series(c, pandas, index) for c in columns]
    frame = pandas.concat(made, axis=1) if made else pandas.DataFrame(index=index)
    frame.columns = [c.name for c in columns]
    return frame


def _pandas_series(c: Cells, pandas: Any, index: Any) -> Any:
    values: Any = c.values
    if c.dtype[0] == "category":
        _, kept, kind, ordered = c.dtype
        kept = pandas.Index(list(kept), dtype=kind)
        return pandas.Series(pandas.Categorical(values, kept, ordered), index=index)
    name = c.dtype[0]
    if c.role == "boolean":
        cells = [None if v != v else bool(v) for v in values.tolist()]
        return pandas.Series(cells, index=index, dtype=object).astype(name)
    if c.role == "number":
        return pandas.Series(values, index=index).astype(name)
    if c.role == "duration":
        return pandas.Series(_times(values).view("m8[us]"), index=index).astype(name)
    if c.role == "date":
        times = pandas.Series(_times(values).view("M8[us]"), index=index)
        zone = getattr(pandas.api.types.pandas_dtype(name), "tz", None)
        if zone is not None:
            times = times.dt.tz_localize("UTC").dt.tz_convert(zone)
        return times.astype(name)
    return pandas.Series(values, index=index, dtype=object).astype(name)


def _series(c: Cells, library: Any) -> nw.Series[Any]:
    name, *arguments = c.dtype

    def made(values: list[Any], dtype: Any) -> nw.Series[Any]:
        return nw.new_series(str(c.name), values, dtype, backend=library)

    if c.role in ("date", "duration"):
        times = [None if t == np.iinfo(np.int64).min else t for t in _times(c.values).tolist()]
        return _times_series(made(times, nw.Int64), name, arguments)
    if c.role == "category":
        text = made(c.values.tolist(), nw.String)
        return text if name == "String" else text.cast(_narwhals_dtype(name, arguments))
    missing = np.isnan(c.values)
    convert = {"boolean": bool, "number": float if name.startswith(("Float", "Dec")) else int}
    cells = [
        None if m else convert[c.role](v)
        for v, m in zip(c.values.tolist(), missing.tolist(), strict=True)
    ]
    return made(cells, _narwhals_dtype(name, arguments))


def _times_series(microseconds: nw.Series[Any], name: str, arguments: list[Any]) -> nw.Series[Any]:
    if name == "Duration":
        return microseconds.cast(nw.Duration("us")).cast(nw.Duration(*arguments))
    times = microseconds.cast(nw.Datetime("us"))
    if name == "Date":
        return times.cast(nw.Date)
    unit, zone = arguments
    if zone is not None:
        times = times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return times.cast(nw.Datetime(unit, zone))


def _narwhals_dtype(name: str, arguments: list[Any]) -> Any:
    if name == "Enum":
        return nw.Enum(arguments[0])
    if name.startswith("Decimal"):
        return nw.Float64
    return getattr(nw, name)

"""A table as people have it: what `fit` learns of its columns, to read rows and to give them back.

Between both, a table is an array with one number for each cell (`kinds`).
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_aae._rows.frames import Cells, columns_of, frame_of, is_frame, library_of, of_objects
from sklearn_aae._rows.kinds import (
    Boolean,
    Category,
    Kind,
    Moment,
    Number,
    count_categories,
    fit_category,
)


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of a table.

    Parameters
    ----------
    names : tuple
        Of the columns.
    kinds : tuple of Kind
        What their cells are.
    dtypes : tuple of tuple
        What a frame makes them of.
    library : str or None
        "pandas", "polars" or "pyarrow"; None for an array.
    has_gaps : bool
        Whether the networks were made for missing cells: there were some, or columns that are not
        numbers.
    n_rows : int
        Rows that the columns were learned of.
    """

    names: tuple[Any, ...]
    kinds: tuple[Kind, ...]
    dtypes: tuple[tuple[Any, ...], ...]
    library: str | None
    has_gaps: bool
    n_rows: int

    @property
    def starts(self) -> tuple[int, ...]:
        """First of the numbers that the networks see of each column."""
        ends = np.cumsum([kind.width for kind in self.kinds]).tolist()
        return (0, *ends[:-1])

    @property
    def numbers(self) -> np.ndarray:
        """Which of the numbers that the networks see are cells themselves."""
        of_kinds = zip(self.starts, self.kinds, strict=True)
        starts = [start for start, kind in of_kinds if kind.likelihood == "number"]
        return np.array(starts, dtype=np.int64)

    @property
    def has_categories(self) -> bool:
        """Whether there is a column that the networks see more than one number of."""
        return any(kind.likelihood == "category" for kind in self.kinds)

    def codes(self, columns: list[Cells]) -> np.ndarray:
        """One number for each cell, (n_rows, n_columns), of columns as they were in `fit`."""
        codes = [
            kind.codes(_of_role(cells, kind).values)
            for cells, kind in zip(columns, self.kinds, strict=True)
        ]
        return np.stack(codes, axis=1)

    def unseen(self, columns: list[Cells], codes: np.ndarray) -> list[str]:
        """What is to be said of categories that `fit` has not seen, column by column."""
        said = []
        for j in np.flatnonzero(np.isinf(codes).any(axis=0)):
            new = list(dict.fromkeys(columns[j].values[np.isinf(codes[:, j])].tolist()))
            shown = ", ".join(map(repr, new[:5])) + (", ..." if len(new) > 5 else "")
            said.append(f"column {self.names[j]!r}: {shown}")
        return said

    def given_back(self, codes: np.ndarray, like: Any, library: str | None) -> Any:
        """Rows of codes as a frame of a library, or as an array where it is None.

        Columns are of the dtypes of `fit` where the library is that of `fit`.
        """
        columns = [
            _cells(name, kind, codes[:, j], dtype)
            for j, (name, kind, dtype) in enumerate(
                zip(self.names, self.kinds, self.dtypes, strict=True)
            )
        ]
        if library is None:
            return self._array(columns)
        if library != self.library:
            columns = [c._replace(dtype=_plain_dtype(c, library)) for c in columns]
        return frame_of(library, columns, like)

    def filled(
        self, columns: list[Cells], codes: np.ndarray, like: Any, library: str | None
    ) -> Any:
        """The columns as they came, with cells of codes where they are missing."""
        made = []
        for j, (cells, kind) in enumerate(zip(columns, self.kinds, strict=True)):
            new = _cells(self.names[j], kind, codes[:, j], self.dtypes[j])
            old = _of_role(cells, kind).values
            if new.values.dtype == object or old.dtype == object:
                missing = np.array([v is None for v in old.tolist()], dtype=bool)
                if new.role == "number":
                    old = np.where(missing, np.nan, old).astype(np.float64)
            else:
                missing = np.isnan(old)
            values = np.where(missing, new.values, old)
            made.append(
                new._replace(values=values, dtype=with_categories(new.dtype, values.tolist()))
            )
        if library is None:
            return self._array(made)
        if library != self.library:
            made = [c._replace(dtype=_plain_dtype(c, library)) for c in made]
        return frame_of(library, made, like)

    def _array(self, columns: list[Cells]) -> np.ndarray:
        if all(c.values.dtype != object for c in columns):
            return np.stack([c.values for c in columns], axis=1)
        rows = np.empty((len(columns[0].values), len(columns)), dtype=object)
        for j, c in enumerate(columns):
            rows[:, j] = c.values
        of_numbers = all(
            isinstance(v, numbers.Real)
            for kind in self.kinds
            if isinstance(kind, Category)
            for v in kind.values
        )
        return rows.astype(np.float64) if of_numbers else rows


def _cells(name: Any, kind: Kind, codes: np.ndarray, dtype: tuple[Any, ...]) -> Cells:
    role = "number"
    if isinstance(kind, Boolean):
        role = "boolean"
    elif isinstance(kind, Category):
        role = "category"
    elif isinstance(kind, Moment):
        role = "duration" if _is_duration(dtype) else "date"
    values = kind.cells(codes)
    if isinstance(kind, Category) and _is_number(dtype):
        role, values = "number", values.astype(np.float64)
    return Cells(name, role, values, dtype)


def with_categories(dtype: tuple[Any, ...], values: Iterable[Any]) -> tuple[Any, ...]:
    """A dtype that has a place for all values: categories that it has not seen come last."""
    if dtype[0] not in ("category", "Enum"):
        return dtype
    known = set(dtype[1])
    new = [v for v in dict.fromkeys(values) if v is not None and v not in known]
    return (dtype[0], (*dtype[1], *new), *dtype[2:])


def _is_duration(dtype: tuple[Any, ...]) -> bool:
    return dtype[0] == "Duration" or dtype[0].startswith(("timedelta", "duration"))


def _is_number(dtype: tuple[Any, ...]) -> bool:
    return dtype[0].lower().startswith(("int", "uint", "float", "double", "decimal"))


def _plain_dtype(c: Cells, library: str) -> tuple[Any, ...]:
    """A dtype of another library than that of `fit`."""
    in_pandas = {
        "number": ("float64",),
        "boolean": ("boolean",),
        "category": ("object",),
        "date": ("datetime64[us]",),
        "duration": ("timedelta64[us]",),
    }
    elsewhere = {
        "number": ("Float64",),
        "boolean": ("Boolean",),
        "category": ("String",),
        "date": ("Datetime", "us", None),
        "duration": ("Duration", "us"),
    }
    return (in_pandas if library == "pandas" else elsewhere)[c.role]


def fit_table(columns: list[Cells], library: str | None, categorical_features: Any) -> Table:
    """The columns of a table that a fit is given."""
    named = _chosen(categorical_features, tuple(c.name for c in columns))
    kinds = tuple(
        _kind(c, chosen, from_dtype=named is None)
        for c, chosen in zip(columns, named or [False] * len(columns), strict=True)
    )
    gaps = any(c.values.dtype != object and np.isnan(c.values).any() for c in columns)
    return Table(
        tuple(c.name for c in columns),
        kinds,
        tuple(c.dtype for c in columns),
        library,
        gaps or any(not isinstance(kind, Number) for kind in kinds),
        len(columns[0].values),
    )


def _kind(cells: Cells, chosen: bool, *, from_dtype: bool) -> Kind:
    if chosen:
        return fit_category(count_categories(as_category(cells).values))
    match cells.role:
        case "category" if from_dtype:
            return fit_category(count_categories(cells.values))
        case "category":
            raise ValueError(
                f"X: column {cells.name!r} holds categories or text, and categorical_features "
                'does not name it. Name it there, use "from_dtype", or convert it to numbers.'
            )
        case "boolean":
            return Boolean()
        case "date" | "duration":
            return Moment(_resolution(cells))
        case _:
            return Number(*_integer_range(cells.dtype[0]))


def _resolution(cells: Cells) -> float:
    """Seconds that all values of a column are multiples of: a day, or a unit of time.

    That of the type is the least, which is a microsecond at least.
    """
    dtype = cells.dtype
    # The unit is an argument, or stands in brackets: datetime64[ms, UTC].
    unit = dtype[1] if len(dtype) > 1 else dtype[0].partition("[")[2][:2].strip(",]")
    least = 86400.0 if dtype[0].startswith("Date") and "time" not in dtype[0] else 1e-6
    least = max(least, {"s": 1.0, "ms": 1e-3}.get(unit, 1e-6))
    known = cells.values[~np.isnan(cells.values)]
    for resolution in (86400.0, 60.0, 1.0, 1e-3):
        multiples = known / resolution
        # Within half a microsecond: seconds since 1970 are not known better.
        if resolution >= least and np.allclose(multiples, multiples.round(), 0, 4e-7 / resolution):
            return resolution
    return least


def _integer_range(dtype: str) -> tuple[int, int] | tuple[()]:
    name = dtype.lower().removesuffix("[pyarrow]")
    if not name.startswith(("int", "uint")):
        return ()
    limits = np.iinfo(name) if name in ("int8", "uint8") else np.iinfo(np.dtype(name))
    # Between these, every whole number is a float64.
    return max(int(limits.min), -(2**53)), min(int(limits.max), 2**53)


def as_category(cells: Cells) -> Cells:
    """A column of any role whose values are categories."""
    if cells.role == "category":
        return cells
    values = cells.values.astype(object)
    values[np.isnan(cells.values)] = None
    return cells._replace(values=values)


def _of_role(cells: Cells, kind: Kind) -> Cells:
    """A column as its kind takes it; ValueError where it is of another."""
    if isinstance(kind, Category):
        return as_category(cells)
    roles = {Number: ("number", "boolean"), Boolean: ("boolean", "number")}
    allowed = roles.get(type(kind), ("date", "duration"))
    if cells.role not in allowed and not (
        cells.role == "category" and all(v is None for v in cells.values.tolist())
    ):
        was = {Number: "numbers", Boolean: "booleans"}.get(type(kind), "dates or durations")
        raise ValueError(
            f"X: column {cells.name!r} held {was} in fit, and is of type {cells.dtype[0]} now. "
            "Convert it, or fit again."
        )
    if cells.values.dtype == object:  # nothing but missing cells
        return cells._replace(values=np.full(len(cells.values), np.nan))
    return cells


def _chosen(categorical_features: Any, names: tuple[Any, ...]) -> list[bool] | None:
    """For each column whether it is named as categorical; None where dtypes decide."""
    if isinstance(categorical_features, str) and categorical_features == "from_dtype":
        return None
    n = len(names)
    if categorical_features is None:
        return [False] * n
    given = np.asarray(categorical_features)
    if given.size == 0:
        return [False] * n
    if given.ndim == 1 and given.dtype == bool and len(given) == n:
        return [bool(chosen) for chosen in given]
    if given.ndim == 1 and given.dtype.kind in "iu" and ((given >= 0) & (given < n)).all():
        return [j in set(given.tolist()) for j in range(n)]
    if given.ndim == 1 and given.dtype.kind in "OUS" and set(given.tolist()) <= set(names):
        return [name in set(given.tolist()) for name in names]
    raise ValueError(
        'categorical_features must be "from_dtype", None, or names, positions from 0 or a mask of '
        f"the {n} columns of X, {list(names[:10])}, got {categorical_features!r}."
    )


def columns_of_table(X: Any, names: tuple[Any, ...] | None) -> tuple[list[Cells], str | None]:
    """The columns of a frame or of a two-dimensional array, and the library of the frame."""
    if is_frame(X):
        return columns_of(X), library_of(X)
    names = tuple(f"x{j}" for j in range(X.shape[1])) if names is None else names
    if X.dtype.kind == "b":
        return [
            Cells(n, "boolean", X[:, j].astype(float), ("bool",)) for j, n in enumerate(names)
        ], None
    if X.dtype.kind in "iuf":
        columns = (X[:, j].astype(np.float64) for j in range(X.shape[1]))
        return [
            Cells(n, "number", c, ("float64",)) for n, c in zip(names, columns, strict=True)
        ], None
    objects = X.astype(object)
    return [of_objects(n, objects[:, j], ("object",)) for j, n in enumerate(names)], None

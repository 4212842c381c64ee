"""What the columns of a table are, where it comes in chunks: each adds what it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sklearn_aae._rows.frames import Cells
from sklearn_aae._rows.kinds import (
    Boolean,
    Category,
    Kind,
    Moment,
    Number,
    count_categories,
    fit_category,
)
from sklearn_aae._rows.table import Table, as_category, fit_table, with_categories

_NAMES: dict[type[Kind], str] = {
    Boolean: "booleans",
    Category: "text or categories",
    Moment: "dates or durations",
    Number: "numbers",
}


class Census:
    """Columns of a table from its chunks.

    Parameters
    ----------
    categorical_features : object
        As the estimator has it.
    """

    def __init__(self, categorical_features: Any) -> None:
        self._chosen = categorical_features
        self._table: Table | None = None
        self._counts: list[dict[Any, int]] = []

    def add(self, columns: list[Cells], library: str | None) -> None:
        """Take a chunk in."""
        table = fit_table(columns, library, self._chosen)
        counts = [
            count_categories(as_category(cells).values) if isinstance(kind, Category) else {}
            for cells, kind in zip(columns, table.kinds, strict=True)
        ]
        self._take(table, counts)

    def merge(self, others: Sequence[Census]) -> None:
        """Take in what others have counted."""
        for other in others:
            if other._table is not None:
                self._take(other._table, other._counts)

    def table(self) -> Table:
        """The columns of all chunks together."""
        assert self._table is not None
        kinds, dtypes = list(self._table.kinds), list(self._table.dtypes)
        for j, (kind, counts) in enumerate(zip(kinds, self._counts, strict=True)):
            if isinstance(kind, Category):
                kinds[j] = fit_category(counts)
                dtypes[j] = with_categories(dtypes[j], sorted(counts))
        return replace(self._table, kinds=tuple(kinds), dtypes=tuple(dtypes))

    def _take(self, table: Table, counts: list[dict[Any, int]]) -> None:
        known = self._table
        if known is None:
            self._table, self._counts = table, [dict(c) for c in counts]
            return
        if table.names != known.names:
            raise ValueError(
                f"X: chunks have different columns: {list(known.names)} and {list(table.names)}. "
                "All chunks must have the same, in the same order."
            )
        kinds, dtypes = [], []
        for j, name in enumerate(known.names):
            kind, of_other = _joined(name, known.kinds[j], table.kinds[j])
            kinds.append(kind)
            dtypes.append((table if of_other else known).dtypes[j])
            for value, n in counts[j].items():
                self._counts[j][value] = self._counts[j].get(value, 0) + n
        self._table = replace(
            known,
            kinds=tuple(kinds),
            dtypes=tuple(dtypes),
            has_gaps=known.has_gaps or table.has_gaps,
            n_rows=known.n_rows + table.n_rows,
        )


def _joined(name: Any, known: Kind, other: Kind) -> tuple[Kind, bool]:
    """The kind of a column in two chunks, and whether its dtype is that in the other one."""
    if other == known or (isinstance(other, Category) and not other.values):
        return known, False
    if isinstance(known, Category) and not known.values:  # nothing but missing cells so far
        return other, True
    if type(known) is not type(other):
        raise ValueError(
            f"X: column {name!r} holds {_NAMES[type(known)]} in one chunk and "
            f"{_NAMES[type(other)]} in another. Give it one type, for example in the "
            "schema of the data set."
        )
    if isinstance(known, Moment) and isinstance(other, Moment):
        return (known, False) if known.resolution <= other.resolution else (other, True)
    if isinstance(known, Number) and isinstance(other, Number):
        # Whole numbers in one chunk, where none is missing, and any in another.
        return (known, False) if known.lowest is None else (other, True)
    return known, False

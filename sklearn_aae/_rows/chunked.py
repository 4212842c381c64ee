"""Rows that are read chunk by chunk, and the one look at all of them before a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import gen_batches
from sklearn.utils.random import sample_without_replacement

from sklearn_aae._rows.group import Group
from sklearn_aae._rows.kinds import Kind
from sklearn_aae._rows.scaling import ColumnSums, MeasuredRows, column_ranges
from sklearn_aae._rows.sources import TableRows

# Rows that stand for all once the networks are trained: so many, or fewer of wide ones, whose
# values are to take 128 MiB in float32 at most, but no fewer than the second number.
_MAX_SAMPLED, _MIN_SAMPLED = 100_000, 10_000
_MAX_VALUES = 2**25


# Values that are worked on at a time, while a chunk and a window of chunks are in memory as well.
_VALUES = 2**19


def rows_at_a_time(n_columns: int) -> int:
    """Number of rows of a chunk to work on at a time."""
    return max(1, _VALUES // max(1, n_columns))


class ChunkedRows:
    """Rows in chunks, as arrays with one number for each cell.

    Parameters
    ----------
    readers : sequence of callable
        Each returns the cells of a chunk, (n_rows, n_columns), in a dtype that all share.
    lengths : sequence of int
        Rows of each chunk.
    kinds : tuple of Kind or None
        Of the columns of a table, None of a plain array.
    n_columns : int
    dtype : dtype
    group : Group
        Whose other members hold further chunks: those of all of them follow each other.
    """

    def __init__(
        self,
        readers: Sequence[Callable[[], np.ndarray]],
        lengths: Sequence[int],
        kinds: tuple[Kind, ...] | None,
        n_columns: int,
        dtype: np.dtype,
        group: Group,
    ) -> None:
        self._readers = readers
        self.lengths = np.array(lengths, dtype=np.int64)
        self.kinds = kinds if kinds and any(kind.width > 1 for kind in kinds) else None
        self.dtype = np.dtype(dtype)
        self.group = group
        of_all = [int(n) for n in group.gather(self.lengths.sum())]
        self.first = sum(of_all[: group.rank])
        width = n_columns if self.kinds is None else sum(kind.width for kind in self.kinds)
        self.shape = (sum(of_all), width)
        self.n_columns = n_columns

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def n_chunks(self) -> int:
        """Chunks at hand."""
        return len(self._readers)

    @property
    def starts(self) -> np.ndarray:
        """Position among all rows of the first row of each chunk."""
        return self.first + np.cumsum(self.lengths) - self.lengths

    def cells(self, i: int) -> np.ndarray:
        """Cells of a chunk."""
        cells = self._readers[i]()
        if len(cells) != self.lengths[i]:
            raise ValueError(
                f"X: chunk {i} has {len(cells)} rows now and had {self.lengths[i]} when they were "
                "counted. The rows must stay the same while fit reads them, which is several times."
            )
        return cells

    def rows_of(self, cells: np.ndarray) -> Any:
        """Cells as rows that the networks see."""
        return cells if self.kinds is None else TableRows(cells, self.kinds)

    def cells_within(self) -> Iterator[tuple[int, np.ndarray]]:
        """Position of the first row of each chunk, and its cells."""
        for i, start in enumerate(self.starts):
            if self.lengths[i] > 0:
                yield int(start), self.cells(i)


class Drawn(NamedTuple):
    """Positions of rows, in ascending order: those that are held out, and a sample of the rest."""

    held_out: np.ndarray
    sample: np.ndarray


def draw_rows(
    n_rows: int, n_columns: int, n_held_out: int, random_state: np.random.RandomState
) -> Drawn:
    """Draw rows to hold out and rows to keep, in memory that does not grow with their number."""
    n_kept = min(_MAX_SAMPLED, max(_MIN_SAMPLED, _MAX_VALUES // max(1, n_columns)))
    n_kept = min(n_kept, n_rows - n_held_out)
    drawn = sample_without_replacement(n_rows, n_held_out + n_kept, random_state=random_state)
    # They are distinct, and not in a random order.
    held_out = random_state.permutation(len(drawn))[:n_held_out]
    return Drawn(np.sort(drawn[held_out]), np.sort(np.delete(drawn, held_out)))


class Surveyed(MeasuredRows):
    """Rows to train on, in chunks, with what one look at all of them has told.

    Parameters
    ----------
    rows : ChunkedRows
    left_out : ndarray of int
        Positions of rows that are not trained on.
    **measured
        As for `MeasuredRows`, of the others.
    """

    def __init__(self, rows: ChunkedRows, left_out: np.ndarray, **measured: Any) -> None:
        super().__init__(len(rows) - len(left_out), **measured)
        self.group = rows.group
        self._rows, self._left_out = rows, left_out
        # Positions in memory of rows that are left out, by chunk.
        ends = np.searchsorted(left_out, [*rows.starts, rows.first + rows.lengths.sum()])
        self.lengths = rows.lengths - np.diff(ends)
        self.first = rows.first - int(ends[0] if len(ends) else 0)

    def parts(self, i: int) -> Iterator[np.ndarray]:
        """Rows of a chunk that are trained on, as the networks see them, some at a time."""
        start = int(self._rows.starts[i])
        cells = self._rows.cells(i)
        for part in gen_batches(len(cells), rows_at_a_time(self.shape[1])):
            kept = _without(cells[part], start + part.start, self._left_out)
            yield self._rows.rows_of(kept)[:]

    def arrays(self) -> Iterator[Any]:
        """What tells these rows from others: sums and extremes of all, and a sample."""
        yield from (self.shape, self.lengths, *self.scaling, *self.ranges)
        if isinstance(self.sample, np.ndarray):
            yield self.sample
        else:
            yield from self.sample.arrays()


class Survey(NamedTuple):
    """Rows to train on, those that were held out, and whether cells of any are missing."""

    training: Surveyed
    held_out: Any
    has_gaps: bool


def survey(rows: ChunkedRows, drawn: Drawn, sample_weight: np.ndarray | None) -> Survey:
    """One look at all rows: moments and extremes of those that are trained on, and a sample.

    Parameters
    ----------
    rows : ChunkedRows
    drawn : Drawn
    sample_weight : ndarray of shape (n_rows,) or None
        Rows of weight 0 count for extremes only.
    """
    counting, all_rows = ColumnSums(rows.shape[1]), _Extremes(rows.shape[1])
    held_out, sample, has_gaps = [], [], False
    for first, cells in rows.cells_within():
        held_out.append(_among(cells, first, drawn.held_out))
        sample.append(_among(cells, first, drawn.sample))
        for part in gen_batches(len(cells), rows_at_a_time(rows.shape[1])):
            start = first + part.start
            has_gaps = has_gaps or not np.isfinite(cells[part]).all()
            chunk = rows.rows_of(_without(cells[part], start, drawn.held_out))[:]
            all_rows.add(chunk)
            chunk, weight = chunk.astype(np.float64), None
            if sample_weight is not None:
                weight = sample_weight[start : first + part.stop]
                weight = _without(weight, start, drawn.held_out)
                chunk, weight = chunk[weight > 0], weight[weight > 0]
            if len(chunk) > 0:
                counting.add(chunk, weight)
    empty = np.empty((0, rows.n_columns), dtype=rows.dtype)
    mine = (
        counting,
        all_rows,
        np.concatenate([empty, *held_out]),
        np.concatenate([empty, *sample]),
    )
    told = rows.group.gather((*mine, has_gaps))
    every, of_all, all_held_out, all_sampled, gaps = zip(*told, strict=True)
    every[0].merge(every[1:])
    of_all[0].merge(of_all[1:])
    training = Surveyed(
        rows,
        drawn.held_out,
        scaling=every[0].scaling(),
        ranges=of_all[0].in_dtype(rows.dtype),
        sample=rows.rows_of(np.concatenate(all_sampled)),
        # Of a row, less the rows that are held out before it.
        positions=drawn.sample - np.searchsorted(drawn.held_out, drawn.sample),
    )
    return Survey(training, rows.rows_of(np.concatenate(all_held_out)), any(gaps))


class _Extremes:
    """Smallest and largest value of each column, NaN before there is one."""

    def __init__(self, n_columns: int) -> None:
        self.lowest, self.highest = np.full(n_columns, np.nan), np.full(n_columns, np.nan)

    def add(self, chunk: np.ndarray) -> None:
        if len(chunk) > 0:
            self._take(*column_ranges(chunk))

    def merge(self, others: Sequence[_Extremes]) -> None:
        for other in others:
            self._take(other.lowest, other.highest)

    def _take(self, lowest: np.ndarray, highest: np.ndarray) -> None:
        np.fmin(self.lowest, lowest, out=self.lowest)
        np.fmax(self.highest, highest, out=self.highest)

    def in_dtype(self, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        return self.lowest.astype(dtype), self.highest.astype(dtype)


def _within(start: int, n_rows: int, positions: np.ndarray) -> np.ndarray:
    """Positions, of ascending ones, that lie in a chunk, from its first row on."""
    first, last = np.searchsorted(positions, [start, start + n_rows])
    return positions[first:last] - start


def _among(cells: np.ndarray, start: int, positions: np.ndarray) -> np.ndarray:
    return cells[_within(start, len(cells), positions)]


def _without(cells: np.ndarray, start: int, positions: np.ndarray) -> np.ndarray:
    left_out = _within(start, len(cells), positions)
    return cells if len(left_out) == 0 else np.delete(cells, left_out, axis=0)

"""Where rows are kept that no memory holds: as chunks, each of which is read when it is needed.

None of the libraries is imported: who has an array of one has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple


class Chunks:
    """Rows in chunks, each of which is read when it is needed, and forgotten.

    What `AdversarialAutoencoder` trains on and scores where the rows of a table are too many for
    memory and in no store that it reads by itself, which are zarr arrays, Parquet data sets
    (``pyarrow.dataset.dataset``), dask arrays and dask data frames. A plain list of arrays would be
    an array of three dimensions.

    Parameters
    ----------
    chunks : sequence
        Arrays or data frames with the same columns, or functions without arguments that return
        them. A function is called anew whenever its rows are needed, several times in all and
        once an epoch at least, and has to return the same rows each time.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae import AdversarialAutoencoder, Chunks
    >>> def read(month):  # a file, a query, a download
    ...     return np.random.default_rng(month).normal(size=(100, 3))
    >>> X = Chunks([lambda month=month: read(month) for month in range(12)])
    >>> model = AdversarialAutoencoder(max_iter=2, random_state=0).fit(X)
    >>> model.score_samples(X).shape
    (1200,)
    """

    def __init__(self, chunks: Sequence[Any]) -> None:
        if not hasattr(chunks, "__len__") or not hasattr(chunks, "__getitem__"):
            raise TypeError(
                f"chunks must be a sequence, which has a length and takes positions, got {chunks!r}"
                ". It is read several times: pass a list of functions that each return one chunk."
            )
        self.chunks = chunks

    def __repr__(self) -> str:
        return f"Chunks of {len(self.chunks)}"


class Chunk(NamedTuple):
    """Rows that are read when they are asked for; None where it takes that to count them."""

    read: Callable[[], Any]
    n_rows: int | None


def chunks_of(X: Any) -> list[Chunk] | None:
    """What X consists of; None where X is held in memory, or is nothing that is known here.

    Raises
    ------
    ValueError
        If X is an array that is not two-dimensional.
    """
    if isinstance(X, Chunks):
        return [_given(X.chunks[i]) for i in range(len(X.chunks))]
    for known, split in (
        (("zarr", "Array"), _of_zarr),
        (("pyarrow.dataset", "Dataset"), _of_dataset),
        (("dask.array", "Array"), _of_dask_array),
        (("dask.dataframe", "DataFrame"), _of_dask_frame),
    ):
        if _is_a(X, *known):
            return split(X)
    return None


def is_chunked(X: Any) -> bool:
    """Whether X is kept in chunks."""
    stores = (
        ("zarr", "Array"),
        ("pyarrow.dataset", "Dataset"),
        ("dask.array", "Array"),
        ("dask.dataframe", "DataFrame"),
    )
    return isinstance(X, Chunks) or any(_is_a(X, *store) for store in stores)


def len_of(rows: Any) -> int:
    """Number of rows of an array or a frame."""
    shape = getattr(rows, "shape", None)
    return int(shape[0]) if shape else len(rows)


def pieces(rows: Any, n_rows: int) -> Iterator[Any]:
    """An array or a frame, so many rows at a time."""
    for start in range(0, len_of(rows), n_rows):
        if hasattr(rows, "iloc"):
            yield rows.iloc[start : start + n_rows]
        elif hasattr(rows, "slice"):
            yield rows.slice(start, n_rows)
        else:
            yield rows[start : start + n_rows]


def _is_a(X: Any, module: str, name: str) -> bool:
    cls = getattr(sys.modules.get(module), name, None)
    return isinstance(cls, type) and isinstance(X, cls)


def _given(chunk: Any) -> Chunk:
    if callable(chunk) and not hasattr(chunk, "shape"):
        return Chunk(chunk, None)
    shape = getattr(chunk, "shape", ())
    return Chunk(lambda: chunk, int(shape[0]) if shape else None)


def _of_zarr(X: Any) -> list[Chunk]:
    _check_flat(X)
    n = (getattr(X, "shards", None) or X.chunks)[0]
    starts = range(0, X.shape[0], n)
    return [Chunk(partial(_sliced, X, a), min(n, X.shape[0] - a)) for a in starts]


def _sliced(X: Any, start: int) -> Any:
    n = (getattr(X, "shards", None) or X.chunks)[0]
    return X[start : start + n]


def _of_dataset(X: Any) -> list[Chunk]:
    chunks = []
    for fragment in X.get_fragments():
        if not hasattr(fragment, "split_by_row_group"):  # other formats than Parquet
            chunks.append(Chunk(partial(_table, fragment, X.schema), fragment.count_rows()))
            continue
        for group in fragment.split_by_row_group():
            n_rows = sum(described.num_rows for described in group.row_groups)
            chunks.append(Chunk(partial(_table, group, X.schema), n_rows))
    return chunks


def _table(fragment: Any, schema: Any) -> Any:
    return fragment.to_table(schema=schema, use_threads=False)


def _of_dask_array(X: Any) -> list[Chunk]:
    _check_flat(X)
    whole = X if X.numblocks[1] == 1 else X.rechunk({1: -1})
    lengths = whole.chunks[0]
    return [
        # NaN where dask does not know it.
        Chunk(block.compute, int(n) if n == n else None)
        for block, n in zip(whole.to_delayed().ravel(), lengths, strict=True)
    ]


def _of_dask_frame(X: Any) -> list[Chunk]:
    return [Chunk(block.compute, None) for block in X.to_delayed()]


def _check_flat(X: Any) -> None:
    if len(X.shape) != 2:
        raise ValueError(
            f"X has shape {tuple(X.shape)}, and rows have to be flat: Expected 2D array, got "
            f"{len(X.shape)}D array instead. Reshape it to (n_samples, n_features) and write it so."
        )

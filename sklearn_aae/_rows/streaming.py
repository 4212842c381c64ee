"""Epochs over rows that are read chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_aae._rows.batches import bytes_to_keep, moved, standardized
from sklearn_aae._rows.chunked import Surveyed


class StreamedRows(torch.utils.data.Dataset):
    """Rows in chunks as standardised float32 batches, a window of chunks at a time.

    In each epoch the chunks come in a new order, as many at a time as take 64 MiB once they are
    standardised, or half of what a GPU has free; the rows of such a window are shuffled. Where all
    of them fit in one window, it is kept: the order is then that of an array. In a larger set,
    rows of one chunk are seen within the window of an epoch that the chunk fell in.

    Parameters
    ----------
    rows : Surveyed
    center, scale : ndarray of shape (n_features,)
        x = squashed((X - center) / scale).
    device : torch.device
        Where batches are wanted.
    knee : float
        Where standardised values start to grow logarithmically.
    targets : dict of str to ndarray of shape (n_rows,)
        Further values of each row, such as "sample_weight" and "y".
    """

    # What batches of rows in memory may bring besides.
    labelled = None
    neighbors = None

    def __init__(
        self,
        rows: Surveyed,
        center: np.ndarray,
        scale: np.ndarray,
        *,
        device: torch.device,
        knee: float,
        targets: dict[str, np.ndarray],
    ) -> None:
        self._rows = rows
        self._center, self._scale = center.astype(rows.dtype), scale.astype(rows.dtype)
        self._device, self._knee = device, knee
        self._targets = {name: torch.as_tensor(values) for name, values in targets.items()}
        self.index_device = torch.device("cpu")
        bytes_of = 4 * rows.shape[1] * rows.lengths
        self._window_bytes = bytes_to_keep(device)
        self._fits = bytes_of.sum() <= self._window_bytes
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, positions: Tensor) -> tuple[Tensor, dict[str, Any]]:
        """Batch (x, targets) of some of the rows that are at hand, to try networks on."""
        chosen = positions.numpy() % len(self._rows.sample)
        x = standardized(self._rows.sample[chosen], self._center, self._scale, self._knee)
        of_rows = torch.from_numpy(self._rows.positions[chosen])
        return self._batch(x, of_rows)

    def arrays(self) -> Iterator[Any]:
        """What tells these batches from others; not all rows, which would take a pass."""
        yield from self._rows.arrays()
        yield from (self._center, self._scale, self._knee, self._rows.group.size)
        for name, values in self._targets.items():
            yield from (name, values)

    def batches(
        self, n_batches: int, generator: torch.Generator | None
    ) -> Iterator[tuple[Tensor, dict[str, Any]]]:
        """Batches of nearly equal size, in a new order if there is a generator to draw it from.

        Of a group, each member's share of every batch, with its number of rows as the target
        "n_counted" where that is 0: a row stands in for it, since all have to take each step.
        """
        n = int(self._rows.lengths.sum())
        windows = self._windows(generator)
        x, positions = torch.empty(0), torch.empty(0, dtype=torch.int64)
        order, at = positions, 0
        for i in range(n_batches):
            size = n // n_batches + (i < n % n_batches)
            parts = []
            while size > len(order) - at:
                if at < len(order):
                    size -= len(order) - at
                    parts.append((x[order[at:]], positions[order[at:].cpu()]))
                del x  # before there is another
                x, positions, order = next(windows)
                at = 0
            chosen = order[at : at + size]
            at += size
            parts.append((x[chosen], positions[chosen.cpu()]))
            if len(parts) > 1:
                batch = self._batch(*(torch.cat(values) for values in zip(*parts, strict=True)))
            else:
                batch = self._batch(*parts[0])
            if len(batch[0]) == 0:
                batch = self[torch.zeros(1, dtype=torch.int64)]
                batch[1]["n_counted"] = 0
            yield batch

    def _batch(self, x: Tensor, positions: Tensor) -> tuple[Tensor, dict[str, Any]]:
        targets = {name: values[positions] for name, values in self._targets.items()}
        if self._device.type != "cpu":
            targets = moved(targets, self._device)
        return x.to(self._device), targets

    def _windows(
        self, generator: torch.Generator | None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Standardised rows, their positions among all, and an order to take them in."""
        chunks = torch.arange(len(self._rows.lengths))
        if self._fits:
            if self._kept is None:
                self._kept = self._standardized(chunks.tolist())
            yield self._kept, self._positions(chunks.tolist()), self._order(self._kept, generator)
            return
        if generator is not None:
            chunks = torch.randperm(len(chunks), generator=generator)
        for window in self._grouped(chunks.tolist()):
            x = self._standardized(window)
            yield x, self._positions(window), self._order(x, generator)
            del x

    def _order(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            return torch.arange(len(x), device=x.device)
        return torch.randperm(len(x), generator=generator).to(x.device)

    def _grouped(self, chunks: list[int]) -> Iterator[list[int]]:
        """Chunks that share a window: as many as it holds, and one at least."""
        window: list[int] = []
        n_rows, most = 0, self._window_bytes // (4 * self._rows.shape[1])
        for i in chunks:
            n = int(self._rows.lengths[i])
            if window and n_rows + n > most:
                yield window
                window, n_rows = [], 0
            window.append(i)
            n_rows += n
        if window:
            yield window

    def _standardized(self, chunks: list[int]) -> Tensor:
        n_rows, n_features = int(self._rows.lengths[chunks].sum()), self._rows.shape[1]
        window = torch.empty((n_rows, n_features), device=self._device)
        start = 0
        for i in chunks:
            if self._rows.lengths[i] == 0:
                continue
            for rows in self._rows.parts(i):
                copied = rows.astype(self._rows.dtype)  # to work in
                x = standardized(copied, self._center, self._scale, self._knee)
                window[start : start + len(x)] = x
                start += len(x)
        return window

    def _positions(self, chunks: list[int]) -> Tensor:
        if not self._targets:  # nobody asks for them
            return torch.zeros((), dtype=torch.int64).expand(int(self._rows.lengths[chunks].sum()))
        starts = self._rows.first + np.cumsum(self._rows.lengths) - self._rows.lengths
        of_chunks = [
            torch.arange(s, s + self._rows.lengths[i]) for i in chunks for s in [starts[i]]
        ]
        return torch.cat(of_chunks)

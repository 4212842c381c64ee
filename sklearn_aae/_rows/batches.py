"""Standardised rows as float32 batches for the training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from sklearn_aae._rows.scaling import chunk_size, squashed
from sklearn_aae._rows.sources import take

# Labelled rows for each row of a batch: one in four of so many.
_LABELLED_SHARE = 4

# Standardising 64 rows of 784 columns anew for each batch took a third of a step of a network with
# one hidden layer of 64; rows of up to so many bytes are kept standardised instead.
_BYTES_ON_CPU = 2**26


class Rows(torch.utils.data.Dataset):
    """Rows of X as standardised float32 batches.

    They are standardised once and kept on the device where they take little of its memory, and
    batch by batch otherwise, without a second copy of X. Both ways give the same bits.

    Parameters
    ----------
    X : ndarray, SparseRows or TableRows of shape (n_rows, n_features)
        Kept by reference, in its own dtype.
    center, scale : ndarray of shape (n_features,)
        x = squashed((X - center) / scale).
    device : torch.device
        Where batches are wanted.
    knee : float, default=inf
        Where standardised values start to grow logarithmically.
    selected : ndarray of int, default=None
        Rows that belong to the data set; None for all.
    targets : dict of str to ndarray of shape (n_rows,)
        Further values of each row, such as "sample_weight" and "y".
    labelled : ndarray of int, default=None
        Positions in the data set of rows that every batch is to bring a draw of.

    Attributes
    ----------
    index_device : torch.device
        Where positions have to be for `__getitem__`.
    neighbors : ndarray of int of shape (n_rows, n_neighbors), or None
        Positions in the data set of rows of which every batch is to bring one for each of its own.
    """

    def __init__(
        self,
        X: Any,
        center: np.ndarray,
        scale: np.ndarray,
        *,
        device: torch.device,
        knee: float = math.inf,
        selected: np.ndarray | None = None,
        targets: dict[str, np.ndarray] | None = None,
        labelled: np.ndarray | None = None,
    ) -> None:
        self.labelled = labelled
        self.neighbors: np.ndarray | None = None
        self._device = device
        self._knee = knee
        self._X = X
        self._selected = np.arange(len(X)) if selected is None else selected
        self._center = center.astype(X.dtype)
        self._scale = scale.astype(X.dtype)
        n_rows, n_features = len(self._selected), X.shape[1]
        self._kept: Tensor | None = None
        if 4 * n_rows * n_features <= bytes_to_keep(device):
            self._kept = torch.empty((n_rows, n_features), device=device)
            for rows in gen_batches(n_rows, chunk_size(n_features)):
                self._kept[rows] = self._standardized(self._selected[rows])
        self.index_device = torch.device("cpu") if self._kept is None else device
        self._targets = {
            name: torch.as_tensor(values)[self._selected].to(self.index_device)
            for name, values in (targets or {}).items()
        }

    def __len__(self) -> int:
        return len(self._selected)

    def __getitem__(self, positions: Tensor) -> tuple[Tensor, dict[str, Any]]:
        """Batch (x, targets) of the rows at `positions`, in one indexing operation."""
        if self._kept is None:
            x = self._standardized(self._selected[positions.numpy()])
        else:
            x = self._kept[positions]
        targets = {name: values[positions] for name, values in self._targets.items()}
        if self._device.type != "cpu" and self._kept is None:
            return moved((x, targets), self._device)
        return x, targets

    def _standardized(self, indices: np.ndarray) -> Tensor:
        return standardized(take(self._X, indices), self._center, self._scale, self._knee)

    def add_target(self, name: str, values: np.ndarray) -> None:
        """A further value, or a row of values, for each row of the data set."""
        self._targets[name] = torch.as_tensor(values).to(self.index_device)

    def arrays(self) -> Iterator[Any]:
        """All that the batches are made of, as arrays, tensors and plain values."""
        X = self._X
        of_rows = (X,) if isinstance(X, np.ndarray) else X.arrays()
        yield from (*of_rows, self._selected, self._center, self._scale, self._knee)
        for name, values in self._targets.items():
            yield from (name, values)
        if self.neighbors is not None:
            yield self.neighbors


def standardized(x: np.ndarray, center: np.ndarray, scale: np.ndarray, knee: float) -> Tensor:
    """Rows x, which are overwritten, as the networks are trained on them."""
    rows = torch.from_numpy(x).sub_(torch.from_numpy(center)).div_(torch.from_numpy(scale))
    # Standardised in the dtype of X: float32 would lose columns far from zero in float64.
    return squashed(rows, knee).float()


def bytes_to_keep(device: torch.device) -> int:
    """Memory for standardised rows: half of what a GPU has free, little where X itself lives."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    return _BYTES_ON_CPU


def moved(value: Any, device: torch.device) -> Any:
    """Tensors on a device; for a GPU, through memory from which they are copied without waiting."""
    if isinstance(value, Tensor):
        value = value.pin_memory() if device.type == "cuda" else value
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {name: moved(v, device) for name, v in value.items()}
    return tuple(moved(v, device) for v in value)


class BatchIterator:
    """Batches of `Rows` of nearly equal size, in a new order each epoch if shuffled.

    skorch's default, a DataLoader, fetches row by row: on a small network that costs as much as
    the training step itself. Equal sizes leave no batch of one row at the end of an epoch.

    Parameters
    ----------
    dataset : Rows or StreamedRows
        What to iterate over.
    batch_size : int
        Largest number of rows in a batch.
    shuffle : torch.Generator, default=None
        Source of the order; None keeps the order of the rows.
    most : int, default=None
        Number of batches after which to end before all rows were seen; None for no such end.

    Notes
    -----
    Where the data set names `labelled` rows, every batch brings a draw of them as its target
    "labelled": (x, targets), a quarter of its size, or all if they are fewer. Where it knows their
    neighbours, every batch brings a neighbour of each of its rows as its target "neighbor".
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: torch.Generator | None = None,
        most: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.most = most

    @property
    def _n_batches(self) -> int:
        """Of all rows."""
        return -(-len(self.dataset) // self.batch_size)

    def __len__(self) -> int:
        return self._n_batches if self.most is None else min(self._n_batches, self.most)

    def __iter__(self) -> Iterator[tuple[Tensor, dict[str, Any]]]:
        if isinstance(self.dataset, Rows):
            batches = self._of_rows()
        else:
            # Rows that are read chunk by chunk know which of them are at hand.
            batches = self.dataset.batches(self._n_batches, self.shuffle)
        return itertools.islice(batches, len(self))

    def _of_rows(self) -> Iterator[tuple[Tensor, dict[str, Any]]]:
        order = torch.arange(len(self.dataset))
        if self.shuffle is not None:
            order = self._permuted(order)
        draws = self._labelled_draws()
        neighbors = None
        if self.dataset.neighbors is not None and self.shuffle is not None:
            neighbors = torch.from_numpy(self.dataset.neighbors)
        device = self.dataset.index_device
        for positions in order.to(device).tensor_split(self._n_batches):
            x, targets = self.dataset[positions]
            if draws is not None:
                targets["labelled"] = self.dataset[next(draws).to(device)]
            if neighbors is not None:
                column = torch.randint(neighbors.shape[1], (len(x),), generator=self.shuffle)
                drawn = neighbors[positions.cpu(), column]
                targets["neighbor"], _ = self.dataset[drawn.to(device)]
            yield x, targets

    def _permuted(self, positions: Tensor) -> Tensor:
        return positions[torch.randperm(len(positions), generator=self.shuffle)]

    def _labelled_draws(self) -> Iterator[Tensor] | None:
        """Positions of labelled rows without end, each as often as any other."""
        if self.dataset.labelled is None or self.shuffle is None:
            return None
        labelled = torch.from_numpy(self.dataset.labelled)
        n_drawn = min(len(labelled), -(-self.batch_size // _LABELLED_SHARE))

        def draws() -> Iterator[Tensor]:
            waiting = labelled[:0]
            while True:
                while len(waiting) < n_drawn:
                    waiting = torch.cat([waiting, self._permuted(labelled)])
                yield waiting[:n_drawn]
                waiting = waiting[n_drawn:]

        return draws()

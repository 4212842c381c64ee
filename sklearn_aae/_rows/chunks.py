"""Apply networks to arrays, chunk by chunk, in the precision of the array."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor, nn
from tqdm.auto import tqdm

# Small enough to stay in the cache from one operation to the next: with 2**22 values, standardising
# 784 columns took 40 % of the time of encoding them, with 2**19 it is 15 %.
_VALUES_PER_CHUNK = 2**19

_TORCH_DTYPES = {"float32": torch.float32, "float64": torch.float64}


class _Double(NamedTuple):
    """Copy of a module, and of what: its mode, and its tensors with their versions."""

    module: nn.Module
    training: bool
    state: list[tuple[Tensor, int]]


# To copy a small network takes longer than to score a row with it. The copies go with the modules,
# and are made anew where weights have changed.
_DOUBLES: WeakKeyDictionary[nn.Module, _Double] = WeakKeyDictionary()


def _is_same(first: list[tuple[Tensor, int]], second: list[tuple[Tensor, int]]) -> bool:
    return len(first) == len(second) and all(
        s.data_ptr() == t.data_ptr() and s.dtype == t.dtype and v == w
        for (s, v), (t, w) in zip(first, second, strict=True)
    )


class SelectedRows:
    """Rows of an array that are copied when they are asked for, and not all at once.

    Parameters
    ----------
    array : ndarray, SparseRows or TableRows of shape (n_rows, n_columns)
    positions : ndarray of int
        Rows that belong to the selection, in its order.
    """

    def __init__(self, array: Any, positions: np.ndarray) -> None:
        self.array = array
        self.positions = positions
        self.shape = (len(positions), array.shape[1])
        self.dtype = array.dtype

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.array[self.positions[rows]]

    def arrays(self) -> Iterator[np.ndarray]:
        """All that the rows are made of."""
        yield self.positions
        yield from (self.array,) if isinstance(self.array, np.ndarray) else self.array.arrays()


def in_dtype(module: Any, dtype: np.dtype) -> Any:
    """The module itself for float32, a copy in double precision for float64.

    float32 rounding depends on the shape of a matrix product, so that for float64 data a row's
    answer would depend on its batch beyond the data's own precision.
    """
    if dtype == np.float32:
        return module
    tensors = [*module.parameters(), *module.buffers()]
    if any(t.is_inference() for t in tensors):  # they do not tell when they are changed
        return copy.deepcopy(module).double()
    state = [(t.detach(), t._version) for t in tensors]
    known = _DOUBLES.get(module)
    if known is None or known.training != module.training or not _is_same(known.state, state):
        double = copy.deepcopy(module).double()
        known = _DOUBLES[module] = _Double(double, module.training, state)
    return known.module


def apply_in_chunks(
    function: Callable[[Tensor], Tensor],
    array: np.ndarray | SelectedRows,
    width: int | None,
    to_tensor: Callable[[np.ndarray], Tensor],
    network: nn.Module,
    device: torch.device,
    *,
    verbose: bool,
) -> np.ndarray:
    """Rows of `array` through a function of tensors, in bounded memory.

    Parameters
    ----------
    function : callable
        From a tensor of rows to a tensor (n, width), or (n,) where width is None.
    array : ndarray or SelectedRows of shape (n_samples, n_columns)
    width : int or None
        Columns of the result, which then has the dtype of `array`; None for one float64 a row.
    to_tensor : callable
        From a chunk of the array to a tensor of its own.
    network : nn.Module
        What `function` evaluates; its widest layer bounds the chunks.
    device : torch.device
        Where `function` works.
    verbose : bool
        Whether to show a bar over rows, for work of more than a few chunks.
    """
    if width is None:
        out = np.empty(len(array), dtype=np.float64)
    else:
        # Memory of torch: for large arrays NumPy asks for huge pages, and to piece them together
        # took up to a second for 376 MB on a virtual machine, against a quarter.
        dtype = _TORCH_DTYPES[array.dtype.name]
        out = torch.empty((len(array), width), dtype=dtype, device="cpu").numpy()
    widest = max(array.shape[1], width or 0, _widest(network))
    n_rows = max(1, _VALUES_PER_CHUNK // widest)
    # In a log file, where each update is a line, one in ten seconds.
    interval = 0.1 if sys.stderr.isatty() else 10
    silent = not verbose or len(array) <= 32 * n_rows
    with (
        torch.inference_mode(),
        tqdm(total=len(array), unit="row", mininterval=interval, disable=silent) as progress,
    ):
        for rows in gen_batches(len(array), n_rows):
            out[rows] = function(to_tensor(array[rows]).to(device)).cpu().numpy()
            progress.update(rows.stop - rows.start)
    return out


def _widest(module: nn.Module) -> int:
    """Widest output of a layer."""
    return max((p.shape[0] for p in module.parameters() if p.ndim > 0), default=1)

"""State as arrays: tensors, which live on a device, become NumPy arrays, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_arrays(state: Any) -> Any:
    """Dicts, lists and tuples with each tensor replaced by an array of its own."""
    if isinstance(state, Tensor):
        return state.detach().cpu().numpy().copy()
    if isinstance(state, dict):
        return {key: to_arrays(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(to_arrays(value) for value in state)
    return state


def to_tensors(state: Any) -> Any:
    """The inverse of `to_arrays`, on the CPU."""
    if isinstance(state, np.ndarray):
        # Copies: joblib may hand out read-only memory maps.
        return torch.tensor(np.array(state))
    if isinstance(state, dict):
        return {key: to_tensors(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(to_tensors(value) for value in state)
    return state

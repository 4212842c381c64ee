"""State as arrays: what lives on a device becomes NumPy arrays and plain values, and back.

A model trained on a GPU then loads on a CPU, and no file holds live modules.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class _Slot(NamedTuple):
    """Where a tensor was in a module's structure: its place in the list of arrays."""

    position: int
    is_parameter: bool
    requires_grad: bool


def freeze(module: nn.Module) -> tuple[nn.Module, list[np.ndarray]]:
    """A module as its structure, with slots for tensors, and the list of its arrays.

    Also tied weights come back as one: they share a slot.
    """
    tensors = [*module.parameters(), *module.buffers()]
    memo: dict[int, Any] = {
        id(t): _Slot(i, isinstance(t, nn.Parameter), t.requires_grad) for i, t in enumerate(tensors)
    }
    return copy.deepcopy(module, memo), [t.detach().cpu().numpy().copy() for t in tensors]


def thaw(structure: nn.Module, arrays: list[np.ndarray]) -> nn.Module:
    module = copy.deepcopy(structure)
    # Copies: joblib may hand out read-only memory maps.
    tensors = [torch.tensor(np.array(array)) for array in arrays]
    made: dict[int, Tensor] = {}

    def fill(slot: Any) -> Any:
        if not isinstance(slot, _Slot):
            return slot
        if slot.position not in made:
            t = tensors[slot.position]
            made[slot.position] = nn.Parameter(t, slot.requires_grad) if slot.is_parameter else t
        return made[slot.position]

    for part in module.modules():
        for store in (part._parameters, part._buffers):
            store.update({name: fill(slot) for name, slot in store.items()})
    return module


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
        return torch.tensor(np.array(state))
    if isinstance(state, dict):
        return {key: to_tensors(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(to_tensors(value) for value in state)
    return state


def restored_generator(device: torch.device | str, state: np.ndarray) -> torch.Generator:
    """Generator of torch that goes on from a state, also one of another kind of device."""
    generator = torch.Generator(device)
    if generator.get_state().numel() == len(state):
        generator.set_state(torch.tensor(np.array(state)))
    else:
        # A CUDA generator's state does not fit a CPU generator; the stream starts anew from it.
        generator.manual_seed(int.from_bytes(np.asarray(state)[:7].tobytes(), "little"))
    return generator

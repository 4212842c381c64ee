"""Networks, optimisers and generators as arrays and plain values, and back.

A model trained on a GPU then loads on a CPU, and no file holds live modules.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_aae._rows.arrays import to_arrays, to_tensors


@dataclass(frozen=True)
class _Slot:
    """Where a tensor was in a module's structure: its place in the list of arrays.

    Recurrent layers keep weak references to their weights, which tuples do not have.
    """

    position: int
    is_parameter: bool
    requires_grad: bool


class Frozen(NamedTuple):
    """A module as its structure, with slots for tensors, and the list of its arrays."""

    structure: nn.Module
    arrays: list[np.ndarray]


def freeze(module: nn.Module) -> Frozen:
    """A module without tensors.

    Also tied weights come back as one: they share a slot.
    """
    tensors = [*module.parameters(), *module.buffers()]
    memo: dict[int, Any] = {
        id(t): _Slot(i, isinstance(t, nn.Parameter), t.requires_grad) for i, t in enumerate(tensors)
    }
    return Frozen(copy.deepcopy(module, memo), to_arrays(tensors))


def thaw(frozen: Frozen) -> nn.Module:
    """The inverse of `freeze`, on the CPU."""
    module, tensors = copy.deepcopy(frozen.structure), to_tensors(frozen.arrays)
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
        if isinstance(part, nn.RNNBase):
            part._init_flat_weights()  # a list of its weights
    return module


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Memory of each parameter, and the numbers among the settings, which callbacks may change."""
    state = optimizer.state_dict()
    (group,) = state["param_groups"]
    settings = {k: v for k, v in group.items() if type(v) in (int, float, tuple)}
    return {"settings": settings, "state": to_arrays(state["state"])}


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Let an optimiser of the same kind and networks go on from there."""
    (group,) = optimizer.state_dict()["param_groups"]
    groups = [{**group, **state["settings"]}]
    optimizer.load_state_dict({"state": to_tensors(state["state"]), "param_groups": groups})


def restored_generator(device: torch.device | str, state: np.ndarray) -> torch.Generator:
    """Generator of torch that goes on from a state, also one of another kind of device."""
    generator = torch.Generator(device)
    if generator.get_state().numel() == len(state):
        generator.set_state(torch.tensor(np.array(state)))
    else:
        # A CUDA generator's state does not fit a CPU generator; the stream starts anew from it.
        generator.manual_seed(int.from_bytes(np.asarray(state)[:7].tobytes(), "little"))
    return generator

"""What a training consists of between two epochs: taken from a net, put back, and told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from skorch.callbacks import PassthroughScoring
from skorch.history import History
from torch import Tensor

from sklearn_aae._rows.arrays import to_arrays, to_tensors
from sklearn_aae.priors import draw

_MODULES = ("module_", "discriminators_")
_OPTIMIZERS = ("optimizer_", "discriminator_optimizer_")

# Of an array that is hashed in the order of its rows, at a time.
_HASHED_BYTES = 2**24


def copy_networks(net: Any) -> dict[str, Any]:
    """Copies of all weights and of the optimisers' memory, on their device."""
    state: dict[str, Any] = {
        name: {
            key: value.detach().clone() for key, value in getattr(net, name).state_dict().items()
        }
        for name in _MODULES
    }
    for name in _OPTIMIZERS:
        memory = getattr(net, name).state_dict()["state"]
        # By position of the parameter; as text, since keys of JSON are.
        state[name] = {
            str(position): {
                key: value.clone() if isinstance(value, Tensor) else value
                for key, value in values.items()
            }
            for position, values in memory.items()
        }
    return state


def restore_networks(net: Any, state: dict[str, Any]) -> None:
    """Put back what `copy_networks` took."""
    for name in _MODULES:
        getattr(net, name).load_state_dict(state[name])
    for name in _OPTIMIZERS:
        optimizer = getattr(net, name)
        optimizer.load_state_dict(
            {
                "state": {int(position): values for position, values in state[name].items()},
                # Learning rates are set before each step.
                "param_groups": optimizer.state_dict()["param_groups"],
            }
        )


def all_finite(net: Any) -> bool:
    """Whether every weight of the networks is finite, and no buffer holds NaN.

    Infinity in a buffer may be meant, as in masks.
    """
    modules = [getattr(net, name) for name in _MODULES]
    weights = [p.detach() for module in modules for p in module.parameters()]
    buffers = [b for module in modules for b in module.buffers() if b.is_floating_point()]
    # One number: a test for each tensor would be slower than a step of a small network. Maximum
    # norms do not overflow.
    norm, buffer_norm = (
        torch.nn.utils.get_total_norm(tensors, norm_type=torch.inf)
        for tensors in (weights, buffers)
    )
    return bool(torch.isfinite(norm) & ~torch.isnan(buffer_norm))


def training_state(net: Any) -> dict[str, Any]:
    """All that decides how the training goes on, as arrays and plain values.

    Callbacks take part that have ``get_state(net)``, which returns such values, and
    ``set_state(net, state)``.
    """
    state = {
        "networks": copy_networks(net),
        "generators": {name: g.get_state() for name, g in _generators(net).items()},
        "history": [
            {name: value for name, value in row.items() if name != "batches"} for row in net.history
        ],
        "callbacks": {name: c.get_state(net) for name, c in _stateful_callbacks(net)},
    }
    return to_arrays(state)


def restore_training(net: Any, state: dict[str, Any]) -> None:
    """Put back what `training_state` took, in a training that has just begun."""
    state = to_tensors(state)
    restore_networks(net, state["networks"])
    for name, generator in _generators(net).items():
        generator.set_state(state["generators"][name])
    net.history_ = History({**row, "batches": []} for row in state["history"])
    for name, callback in _stateful_callbacks(net):
        callback.set_state(net, state["callbacks"][name])
    for _, callback in net.callbacks_:
        if isinstance(callback, PassthroughScoring) and callback.name in net.history[-1]:
            callback.best_score_ = min(row[callback.name] for row in net.history)


def _stateful_callbacks(net: Any) -> list[tuple[str, Any]]:
    return [
        (name, c)
        for name, c in net.callbacks_
        if hasattr(c, "get_state") and hasattr(c, "set_state")
    ]


class _GlobalGenerator:
    """torch's global generator of a device, which a user's networks may draw from."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def get_state(self) -> Tensor:
        if self._device.type == "cuda":
            return torch.cuda.get_rng_state(self._device)
        return torch.get_rng_state()

    def set_state(self, state: Tensor) -> None:
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(state, self._device)
        else:
            torch.set_rng_state(state)


def _generators(net: Any) -> dict[str, Any]:
    generators = {"order": net.order_generator_, "draws": net.generator_}
    if net.seeds_global_generator:
        for device in {"cpu", torch.device(net.device).type}:
            generators[f"global_{device}"] = _GlobalGenerator(torch.device(device))
    return generators


def fingerprint(net: Any, rows: Any, held_out: Any) -> str:
    """Digest of what decides a training: data, initial weights, parameters and versions.

    Parameters
    ----------
    net : AdversarialNet
        At the beginning of the training.
    rows : Rows
        Training rows.
    held_out : Rows or None
        Rows that are watched.

    Returns
    -------
    digest : str
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in _decisive(net, rows, held_out):
        if isinstance(part, Tensor):
            part = part.detach().cpu().numpy()
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            n_rows = max(1, _HASHED_BYTES // max(1, part[:1].nbytes)) if part.ndim else 1
            for start in range(0, len(part) if part.ndim else 1, n_rows):
                chunk = part[start : start + n_rows] if part.ndim else part
                digest.update(np.ascontiguousarray(chunk).data)
        else:
            digest.update(repr(part).encode() + b"\0")
    return digest.hexdigest()


def digest_of_networks(net: Any) -> str:
    """Digest of all weights and of the optimisers' memory."""
    digest = hashlib.blake2b(digest_size=16)
    for leaf in _leaves(to_arrays(copy_networks(net))):
        digest.update(leaf.tobytes() if isinstance(leaf, np.ndarray) else repr(leaf).encode())
    return digest.hexdigest()


def _decisive(net: Any, rows: Any, held_out: Any) -> Iterator[Any]:
    # Not to the bit with other versions.
    yield from (version("sklearn-aae"), torch.__version__, np.__version__)
    yield from rows.arrays()
    yield from held_out.arrays() if held_out is not None else ("no rows held out",)
    for name in ("lr", "discriminator_lr", "noise", "batch_size", "max_epochs", "seed", "device"):
        yield name, getattr(net, name)
    yield net.precision, net.compiles_networks
    yield net.null_deviance, net.optimizer, sorted(net.optimizer_options.items())
    # Structure and weights, also of networks whose parameter is a function.
    yield from (repr(net.module_), repr(net.discriminators_), type(net.criterion_))
    for value in _leaves(copy_networks(net)):
        yield value
    for generator in _generators(net).values():
        yield generator.get_state()
    yield len(net.history)
    for critic in net.game.critics:
        for name, value in sorted(vars(critic).items()):
            yield name
            yield from _described(value)
    for name, callback in _stateful_callbacks(net):
        yield name
        for parameter, value in sorted(callback.get_params(deep=False).items()):
            yield parameter
            yield from _described(value)


def _described(value: Any) -> Iterator[Any]:
    """A parameter by value where it has one, otherwise by type, and by what it draws."""
    if value is None or isinstance(value, (bool, int, float, str)):
        yield value
        return
    yield type(value)
    if hasattr(value, "sample"):
        yield draw(value, 64, torch.Generator().manual_seed(0))


def _leaves(state: Any) -> Iterator[Any]:
    if isinstance(state, dict):
        for key, value in state.items():
            yield key
            yield from _leaves(value)
    else:
        yield state

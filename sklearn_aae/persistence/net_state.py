"""The net of a model as values, and back: networks, optimisers, generators, history."""

from __future__ import annotations

import copy
import math
import numbers
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_aae._files.archive import check_keys, require
from sklearn_aae._rows.arrays import to_arrays
from sklearn_aae._training.critics import ADVERSARIAL_LOSSES, Critic
from sklearn_aae._training.net import OPTIMIZERS, PLAIN, AdversarialNet
from sklearn_aae._training.networks import check_networks
from sklearn_aae.callbacks import AdversarialTraining
from sklearn_aae.persistence.schema import Comparison, check_prior, is_number

_NET_NUMBERS = ("null_deviance", "noise", "lr", "discriminator_lr")
NET_FIELDS = {
    *(*PLAIN, "device", "interrupted", "history", "generator", "order_generator"),
    *(f"{name}_state" for name in OPTIMIZERS),
    *("module", "discriminators", "critics", "n_steps"),
}


def net_state(net: AdversarialNet) -> dict[str, Any]:
    """What makes a net: its plain state, networks and critics.

    Terms do not: every fit, also one that continues, makes them anew from the parameters.
    """
    return net.plain_state() | {
        "module": net.module_,
        "discriminators": dict(net.discriminators_.items()),
        "critics": tuple(net.game.critics),
        "n_steps": net.game.n_steps_,
    }


def is_optimizer(value: Any) -> bool:
    """Whether a value is an optimiser class of torch, or one with some arguments set."""
    made_by = value.func if isinstance(value, partial) else value
    return isinstance(made_by, type) and issubclass(made_by, torch.optim.Optimizer)


def restored_net(
    estimator: Any, state: dict[str, Any], expected: list[Comparison]
) -> AdversarialNet:
    """The net of a state, for an estimator whose other attributes are in place."""
    state = to_arrays(state)  # tensors in the first files
    autoencoder, critics = state["module"], state["critics"]
    discriminators = _checked_discriminators(critics, state["discriminators"], expected)
    for name in _NET_NUMBERS:
        value = state[name]
        ok = is_number(value) and 0 <= value < math.inf and (value > 0 or name == "noise")
        require(ok, f"net_.{name}", "is out of range")
    for name, least in (("seed", 0), ("batch_size", 1), ("n_steps", 0)):
        ok = type(state[name]) is int and state[name] >= least
        require(ok, f"net_.{name}", "is out of range")
    optimizer, options = state["optimizer"], state["optimizer_options"]
    require(is_optimizer(optimizer), "net_.optimizer", "is no optimiser")
    ok = isinstance(options, dict) and options.keys() <= {"weight_decay"}
    require(ok and all(map(is_number, options.values())), "net_.optimizer_options", "are unknown")
    require(isinstance(state["interrupted"], bool), "net_.interrupted", "is no bool")
    zeros = torch.zeros(1, len(autoencoder.lower))
    check_networks(autoencoder, discriminators, critics, zeros)

    for name in ("generator", "order_generator"):
        seed = state[name]
        ok = isinstance(seed, np.ndarray) and seed.dtype == np.uint8 and seed.ndim == 1
        require(ok and 16 <= len(seed) < 10_000, "net_", "has no seed")
    _check_history(state["history"])
    game = AdversarialTraining(critics)
    game.n_steps_ = state["n_steps"]
    device, likelihood = _available_device(state["device"]), estimator._columns.likelihood
    net = AdversarialNet.__new__(AdversarialNet)
    net.restore(state, autoencoder, discriminators, likelihood, game, device)
    for name in OPTIMIZERS:
        where = f"{name}_state"
        _check_memory(getattr(net, f"{name}_"), state[where], f"net_.{where}")
    net.restore_optimizers(state)
    return net


def _checked_discriminators(
    critics: Any, discriminators: Any, expected: list[Comparison]
) -> nn.ModuleDict:
    ok = isinstance(critics, tuple) and all(isinstance(c, Critic) for c in critics)
    require(ok and len(critics) == len(expected), "net_.critics", "are not those of this class")
    for critic, (name, columns, n_labels) in zip(critics, expected, strict=True):
        numbers_ = (critic.weight, critic.gradient_penalty, critic.instance_noise)
        ok = all(is_number(v) and 0 <= v < math.inf for v in numbers_)
        ok = ok and isinstance(critic.loss, str) and critic.loss in ADVERSARIAL_LOSSES
        ok = ok and critic.name == name and critic.columns == columns
        ok = ok and all(type(v) is int for v in (critic.n_classes, *critic.columns))
        ok = ok and critic.n_classes in n_labels
        require(ok, "net_.critics", "hold impossible values")
        check_prior(critic.prior, columns[1] - columns[0])
    ok = isinstance(discriminators, dict) and [*discriminators] == [c.name for c in critics]
    ok = ok and all(isinstance(network, nn.Module) for network in discriminators.values())
    require(ok, "net_.discriminators", "are not those of the critics")
    return nn.ModuleDict(discriminators)


def _check_history(rows: Any) -> None:
    ok = isinstance(rows, list) and all(
        isinstance(row, dict)
        and all(
            isinstance(name, str) and isinstance(value, numbers.Real | np.bool_)
            for name, value in row.items()
        )
        for row in rows
    )
    require(ok, "net_.history", "holds other things than losses")


def _available_device(name: Any) -> torch.device:
    """The device of this name, or the CPU where there is none."""
    require(isinstance(name, str), "net_.device", "is no name")
    device = torch.device(name)
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None or device.type != accelerator.type:
        return torch.device("cpu")
    known = (device.index or 0) < torch.accelerator.device_count()
    return device if known else torch.device("cpu")


def _check_memory(optimizer: torch.optim.Optimizer, memory: Any, where: str) -> None:
    """Refuse what does not have the shapes that this optimiser makes.

    Optimisers do not check them, and their kernels would write beyond the end.
    """
    check_keys(memory, {"settings", "state"}, where)
    settings, values = memory["settings"], memory["state"]
    (group,) = optimizer.state_dict()["param_groups"]
    ok = isinstance(settings, dict) and all(
        isinstance(name, str) and name != "params" and _is_setting(value, group.get(name, 0.0))
        for name, value in settings.items()
    )
    require(ok, where, "has impossible settings")
    expected = _memory_after_a_step(optimizer)
    ok = isinstance(values, dict) and all(
        type(index) is int
        and index in expected
        and isinstance(entries, dict)
        and entries.keys() == expected[index].keys()
        and all(_is_alike(value, expected[index][name]) for name, value in entries.items())
        for index, entries in values.items()
    )
    require(ok, where, "does not fit the weights")


def _memory_after_a_step(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Any]]:
    """What an optimiser remembers: names, shapes and dtypes, from a copy that makes one step."""
    trial = copy.deepcopy(optimizer)
    for group in trial.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    trial.step()
    return to_arrays(trial.state_dict()["state"])


def _is_setting(value: Any, like: Any) -> bool:
    if isinstance(like, tuple):
        same = isinstance(value, tuple) and len(value) == len(like)
        return same and all(map(_is_setting, value, like))
    if like is None:
        return value is None
    return type(like) in (int, float) and type(value) in (int, float) and math.isfinite(value)


def _is_alike(value: Any, like: Any) -> bool:
    if isinstance(like, np.ndarray):
        same = isinstance(value, np.ndarray) and value.shape == like.shape
        return same and value.dtype == like.dtype and not np.isnan(value).any()
    return type(value) is type(like) and (value is None or is_number(value))

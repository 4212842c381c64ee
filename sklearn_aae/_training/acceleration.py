"""Mixed precision and compiled networks in training."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from types import CodeType
from typing import Any

import torch
from torch import nn

PRECISIONS = ("float32", "bf16")


def check_precision(precision: str, device: torch.device) -> None:
    """ValueError where a device does not train in a precision."""
    if precision == "float32":
        return
    available = torch.amp.is_autocast_available(device.type)
    if device.type == "cuda":
        # Emulation is slower than float32.
        available = torch.cuda.is_bf16_supported(including_emulation=False)
    if not available:
        raise ValueError(
            f'precision="{precision}" is not supported by device="{device}": it has no bfloat16. '
            'Use precision="float32".'
        )


def autocast(precision: str, device: torch.device | str) -> Any:
    """Context for forward passes in a precision; gradients and weights stay in float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, torch.bfloat16)


@contextmanager
def compiled(
    enabled: bool, module: nn.Module, parts: tuple[str, ...], trial: Callable[[nn.Module], None]
) -> Iterator[None]:
    """Parts of a module run compiled in the block: `trial` is made first, with a compiled copy.

    Where it fails, as it does without a C++ compiler, a warning says so, and nothing is compiled.
    The weights are the same ones, and nothing of the compilation stays after the block.
    """
    if not enabled:
        yield
        return
    networks = [module.get_submodule(name) for name in parts]
    try:
        rehearsal = copy.deepcopy(module)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of itself
            for name in parts:
                _compile(rehearsal.get_submodule(name))
            trial(rehearsal)
    except Exception as error:  # a compiler may fail in any way
        reason = str(error).strip().split("\n")[0]
        warnings.warn(
            f"compile=True: torch.compile failed, and the training goes on without it. It needs a "
            f"C++ compiler and networks that it can trace ({type(error).__name__}: {reason}). Set "
            "compile=False.",
            UserWarning,
            stacklevel=6,
        )
        yield
        return
    for network in networks:
        _compile(network)
    try:
        yield
    finally:
        for network in networks:
            network._compiled_call_impl = None


@cache
def _code_for(structure: str, code: CodeType) -> CodeType:
    return code.replace()


def _compile(network: nn.Module) -> None:
    """As ``network.compile(dynamic=True)``, which in torch 2.13 leaves `nn.Sequential` as it is.

    What it sets is what a call of the network looks for, and what no copy of it has.
    """

    def call(*args: Any) -> Any:
        return network._call_impl(*args)

    # torch compiles a function at most eight times and then quietly does without: one function for
    # each kind of network.
    call.__code__ = _code_for(repr(network), call.__code__)
    network._compiled_call_impl = torch.compile(call, dynamic=True)

"""Gradients that the parameters hold between a backward pass and a step."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def clear_gradients(optimizer: torch.optim.Optimizer) -> None:
    """What ``optimizer.zero_grad()`` does, without what it tells torch's profiler and compiler."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Of the parameters that have one."""
    return [p.grad for p in parameters if p.grad is not None]

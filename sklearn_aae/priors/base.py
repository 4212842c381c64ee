"""What all priors share: the base class, its checks, and paths between codes."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor


class Prior(BaseEstimator):
    """Base of the priors: a small value object with parameters, `sample` and often `log_prob`.

    A prior of your own need not inherit from it: any object with ``sample(n_samples, generator)``
    that returns an array or tensor (n_samples, n_components) serves. A method ``log_prob(z)``,
    tensor (n,) for tensor (n, n_components), makes ``score_method="prior"`` available.

    Attributes
    ----------
    n_components : int or None
        Width of the code; None means that the estimator sets it on its own copy in `fit`.
    has_full_support : bool
        Whether `log_prob` is finite everywhere.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import Prior, bind_prior
    >>> class Corners(Prior):
    ...     def __init__(self, n_components=None):
    ...         self.n_components = n_components
    ...
    ...     def sample(self, n_samples, generator):
    ...         shape = (n_samples, self.n_components)
    ...         return torch.randint(2, shape, generator=generator).float()
    >>> bind_prior(Corners(), 3).sample(4, torch.Generator().manual_seed(0)).shape
    torch.Size([4, 3])
    """

    has_full_support: bool = False
    n_components: int | None

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw codes, tensor (n_samples, n_components), on the device of the generator."""
        raise TypeError(f"{type(self).__name__} has to define sample(n_samples, generator).")

    def path(self, start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Codes (n, n_steps, n_components) from start to end at the times t, in [0, 1]."""
        return straight_path(start, end, t)

    def _check(self) -> None:
        """Raise ValueError where a parameter is out of its range."""

    def _width(self) -> int:
        if self.n_components is None:
            raise ValueError(
                f"{type(self).__name__}: n_components is not set. Pass n_components, or use the "
                "prior inside an estimator, which sets it in fit."
            )
        return self.n_components


def straight_path(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points on the segments from start to end.

    Parameters
    ----------
    start, end : ndarray of shape (n, n_components)
    t : ndarray of shape (n_steps,)
        Times in [0, 1].

    Returns
    -------
    points : ndarray of shape (n, n_steps, n_components)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.priors import straight_path
    >>> straight_path(np.zeros((1, 2)), np.array([[2.0, 4.0]]), np.array([0, 0.5, 1]))
    array([[[0., 0.],
            [1., 2.],
            [2., 4.]]])
    """
    return start[:, None] * (1 - t[:, None]) + end[:, None] * t[:, None]


def draw_classes(n: int, n_classes: int, generator: torch.Generator, y: Tensor | None) -> Tensor:
    k = torch.randint(n_classes, (n,), generator=generator, device=generator.device)
    return k if y is None else torch.where(y >= 0, y, k)


def check_positive(prior: Prior, name: str) -> None:
    value = getattr(prior, name)
    if not isinstance(value, numbers.Real) or not 0 < float(value) < math.inf:
        raise ValueError(
            f"{type(prior).__name__}: {name} must be a positive number, got {value!r}."
        )


def check_n_classes(prior: Any) -> None:
    n_classes = prior.n_classes
    if not isinstance(n_classes, numbers.Integral) or n_classes < 1:
        raise ValueError(
            f"{type(prior).__name__}: n_classes must be an int of at least 1, got {n_classes!r}."
        )

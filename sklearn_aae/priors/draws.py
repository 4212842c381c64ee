"""Draw from any prior, of ours or of a user."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def has_classes(prior: Any) -> bool:
    """Whether a prior can draw codes of a given class (`fit` then uses `y`).

    Parameters
    ----------
    prior : object
        One with an attribute `n_classes` of more than 1 can.

    Returns
    -------
    has_classes : bool

    Examples
    --------
    >>> from sklearn_aae.priors import MixtureOfGaussians, Normal, has_classes
    >>> has_classes(MixtureOfGaussians(n_classes=10)), has_classes(Normal())
    (True, False)
    """
    return getattr(prior, "n_classes", 1) > 1


def draw(prior: Any, n_samples: int, generator: torch.Generator, y: Tensor | None = None) -> Tensor:
    """Codes from any prior as a float32 tensor on the generator's device.

    Parameters
    ----------
    prior : object
        With ``sample(n_samples, generator)``, and a third argument `y` if it has classes.
    n_samples : int
        Number of codes.
    generator : torch.Generator
        Source of the draws.
    y : Tensor of shape (n_samples,), default=None
        Class of each code, -1 for any.

    Returns
    -------
    z : Tensor of shape (n_samples, n_components)

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import Categorical, draw
    >>> draw(Categorical(3), 2, torch.Generator().manual_seed(0), y=torch.tensor([2, 0]))
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    z = prior.sample(n_samples, generator) if y is None else prior.sample(n_samples, generator, y)
    return torch.as_tensor(z, dtype=torch.float32, device=generator.device)

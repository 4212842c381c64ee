"""The uniform distribution."""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor

from sklearn_aae.priors.base import Prior


class Uniform(Prior):
    """Uniform distribution on the box [low, high] in every dimension.

    Parameters
    ----------
    low, high : float, default=-1.0 and 1.0
        Ends of the interval, low < high.
    n_components : int, default=None
        Width of the code; None: set by the estimator in `fit`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import Uniform
    >>> Uniform(n_components=2).log_prob(torch.tensor([[0.0, 0.5], [0.0, 1.5]]))
    tensor([-1.3863,    -inf])
    """

    def __init__(
        self, low: float = -1.0, high: float = 1.0, n_components: int | None = None
    ) -> None:
        self.low = low
        self.high = high
        self.n_components = n_components

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw codes, tensor (n_samples, n_components)."""
        shape = (n_samples, self._width())
        u = torch.rand(shape, generator=generator, device=generator.device)
        return self.low + (self.high - self.low) * u

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density in nats, tensor (n,), of codes (n, n_components); -inf outside the box."""
        inside = ((z >= self.low) & (z <= self.high)).all(dim=1)
        log_density = -z.shape[1] * math.log(self.high - self.low)
        return z.new_full((len(z),), log_density).masked_fill(~inside, -math.inf)

    def _check(self) -> None:
        ends = (self.low, self.high)
        if not all(isinstance(v, numbers.Real) for v in ends) or not self.low < self.high:
            raise ValueError(
                "Uniform: low must be below high, both numbers, got "
                f"low={self.low!r} and high={self.high!r}."
            )

"""The normal distribution, and ways along its sphere."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sklearn_aae.priors.base import Prior, check_positive, straight_path


class Normal(Prior):
    """Isotropic normal distribution N(0, scale² I).

    Parameters
    ----------
    scale : float, default=1.0
        Standard deviation in every dimension, > 0.
    n_components : int, default=None
        Width of the code; None: set by the estimator in `fit`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import Normal
    >>> prior = Normal(n_components=2)
    >>> prior.sample(3, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 2])
    >>> round(prior.log_prob(torch.zeros(1, 2)).item(), 4)
    -1.8379
    """

    has_full_support = True

    def __init__(self, scale: float = 1.0, n_components: int | None = None) -> None:
        self.scale = scale
        self.n_components = n_components

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw codes, tensor (n_samples, n_components)."""
        shape = (n_samples, self._width())
        return self.scale * torch.randn(shape, generator=generator, device=generator.device)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density in nats, tensor (n,), of codes (n, n_components)."""
        log_normalizer = z.shape[1] * (math.log(self.scale) + 0.5 * math.log(2 * math.pi))
        return -0.5 * (z / self.scale).square().sum(dim=1) - log_normalizer

    def path(self, start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Codes from start to end along the sphere: the straight way crosses the empty centre."""
        return _spherical_path(start, end, t)

    def _check(self) -> None:
        check_positive(self, "scale")


def _spherical_path(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points (n, n_steps, n_components) with evenly turning direction (Shoemake, 1985)."""
    dtype = start.dtype
    # Near opposite ends the sines cancel; float32 would leave the path.
    start, end, t = (a.astype(np.float64) for a in (start, end, t))
    # Lengths apart from directions: of codes that are opposite and of different lengths, the sines
    # would blow the difference up.
    lengths = [np.linalg.norm(a, axis=1)[:, None, None] for a in (start, end)]
    u, v = (
        a[:, None] / np.where(length > 0, length, 1)
        for a, length in zip((start, end), lengths, strict=True)
    )
    angle = np.arccos(np.clip((u * v).sum(axis=2, keepdims=True), -1, 1))
    sine = np.sin(angle)
    # Parallel and opposite codes span no plane to turn in: the straight way is what is left.
    defined = (sine > 1e-6) & (np.minimum(*lengths) > 0)
    safe = np.where(defined, sine, 1)
    step = t[None, :, None]
    direction = np.sin((1 - step) * angle) / safe * u + np.sin(step * angle) / safe * v
    turned = ((1 - step) * lengths[0] + step * lengths[1]) * direction
    return np.where(defined, turned, straight_path(start, end, t)).astype(dtype)

"""How far held-out codes are from their prior, epoch by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_aae._training.critics import sliced_wasserstein_distance
from sklearn_aae.priors import draw


def null_distances(
    prior: Any, n_codes: int, directions: Tensor, generator: torch.Generator, n_repeats: int = 20
) -> np.ndarray:
    """Sliced Wasserstein distances between two draws of the prior itself, of `n_codes` each."""
    return np.array(
        [
            sliced_wasserstein_distance(
                draw(prior, n_codes, generator), draw(prior, n_codes, generator), directions
            ).item()
            for _ in range(n_repeats)
        ]
    )


class PriorMatch(Callback):
    """Distance of held-out codes from the prior, recorded each epoch as ``"prior_match"``.

    The sliced Wasserstein-1 distance between the codes and as many draws of the prior, over the
    prior's root mean square; two samples of the prior itself are about ``null_`` apart.

    Parameters
    ----------
    prior : object
        With ``sample(n_samples, generator)``.
    n_directions : int, default=64
        Number of projections.
    seed : int, default=0
        Seed of projections and draws.

    Attributes
    ----------
    null_ : float
        Mean distance between two samples of the prior of the size of the held-out set.
    null_quantile_ : float
        Their 95 % quantile.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.callbacks import PriorMatch
    >>> from sklearn_aae.priors import Normal
    >>> monitor = PriorMatch(Normal(n_components=2))
    >>> far = monitor.measure(torch.full((100, 2), 3.0))
    >>> far > 10 * monitor.null_
    True
    """

    # Enough to tell samples apart, and the cost stays that of a small sort.
    MAX_CODES = 1000

    def __init__(self, prior: Any, n_directions: int = 64, seed: int = 0) -> None:
        self.prior = prior
        self.n_directions = n_directions
        self.seed = seed
        self._null: dict[int, np.ndarray] = {}  # distances by number of codes

    def initialize(self) -> PriorMatch:
        self._codes: list[Tensor] = []
        return self

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool | None = None, **kwargs: Any
    ) -> None:
        if not training:
            self._codes.append(kwargs["codes"])

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self._codes:
            net.history.record("prior_match", self.measure(torch.cat(self._codes)))
            self._codes = []

    def measure(self, codes: Tensor) -> float:
        """Distance of codes (n, n_components) from the prior; sets the null's attributes."""
        codes = codes.detach().to("cpu", torch.float32)[: self.MAX_CODES]
        generator = torch.Generator().manual_seed(self.seed)
        directions = torch.randn((codes.shape[1], self.n_directions), generator=generator)
        directions = directions / directions.norm(dim=0)
        reference = draw(self.prior, len(codes), generator)
        # A prior whose draws are all zero has no unit of its own.
        unit = reference.square().mean().sqrt().item() or 1.0
        if len(codes) not in self._null:
            self._null[len(codes)] = null_distances(self.prior, len(codes), directions, generator)
        null = self._null[len(codes)] / unit
        self.null_ = float(null.mean())
        self.null_quantile_ = float(np.quantile(null, 0.95))
        return sliced_wasserstein_distance(codes, reference, directions).item() / unit

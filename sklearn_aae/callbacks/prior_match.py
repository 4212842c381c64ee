"""How far held-out codes are from their prior, epoch by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import stats
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_aae._training.critics import sliced_wasserstein_distance
from sklearn_aae.priors import draw

# Draws that chance is told by: of 400, the share beyond their 95 % quantile is 5 % give or take 1.
_N_REPEATS = 400
_VALUES_PER_CHUNK = 2**20


def null_distances(
    prior: Any,
    reference: Tensor,
    directions: Tensor,
    generator: torch.Generator,
    n_repeats: int = _N_REPEATS,
) -> np.ndarray:
    """Sliced Wasserstein distances of draws of the prior from a sample of it, of the same size.

    The sample is the one that codes are compared with: it may lie closer to most draws than
    another, or further.
    """
    n_codes, k = reference.shape
    wanted = (reference @ directions).T.sort(dim=1).values
    at_once = max(1, _VALUES_PER_CHUNK // (n_codes * directions.shape[1]))
    distances = []
    for start in range(0, n_repeats, at_once):
        n = min(at_once, n_repeats - start)
        drawn = draw(prior, n * n_codes, generator).reshape(n, n_codes, k)
        projected = (drawn @ directions).transpose(1, 2)
        # NumPy sorts in a sixth of the time that torch takes on a CPU, to the same bits.
        ordered = torch.from_numpy(np.sort(projected.numpy(), axis=2))
        distances.append((ordered - wanted).abs().mean(dim=(1, 2)))
    return torch.cat(distances).double().numpy()


class PriorMatch(Callback):
    """Distance of held-out codes from the prior, recorded each epoch as ``"prior_match"``.

    The sliced Wasserstein-1 distance between the codes and as many draws of the prior, over the
    prior's root mean square; two samples of the prior itself are about ``null_`` apart. Of many
    codes, 1,000 are compared, taken evenly.

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
        Mean distance of a sample of the prior of the size of the held-out set.
    null_quantile_ : float
        The 95 % quantile: a sample of the prior is further away in one case of 20.

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
        codes = evenly(codes.detach(), self.MAX_CODES).to("cpu", torch.float32)
        generator = torch.Generator().manual_seed(self.seed)
        directions = torch.randn((codes.shape[1], self.n_directions), generator=generator)
        directions = directions / directions.norm(dim=0)
        reference = draw(self.prior, len(codes), generator)
        # A prior whose draws are all zero has no unit of its own.
        unit = reference.square().mean().sqrt().item() or 1.0
        if len(codes) not in self._null:
            self._null[len(codes)] = null_distances(self.prior, reference, directions, generator)
        null = self._null[len(codes)] / unit
        self.null_ = float(null.mean())
        self.null_quantile_ = _quantile(null)
        return sliced_wasserstein_distance(codes, reference, directions).item() / unit


def _quantile(distances: np.ndarray) -> float:
    """Their 95 % quantile, by a distribution with their mean, variance and skewness.

    It is steadier than that of the distances themselves, of which one in 20 tells.
    """
    skew = stats.skew(distances)
    skew = float(skew) if np.isfinite(skew) else 0.0
    return float(distances.mean() + distances.std() * stats.pearson3.ppf(0.95, skew))


def evenly(rows: Tensor, n_most: int) -> Tensor:
    """All rows, or so many of them at equal steps: rows may come sorted."""
    if len(rows) <= n_most:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, n_most).round().long()]

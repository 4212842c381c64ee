"""The distribution of an array, or of a fitted object that can be sampled."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from torch import Tensor

from sklearn_aae.priors.base import Prior


class Empirical(Prior):
    """Distribution of given codes, or of a fitted object that can sample.

    Parameters
    ----------
    source : array-like of shape (n_rows, n_components) or object with `sample`
        Rows to draw from with replacement, or a fitted scikit-learn object such as
        `GaussianMixture` or `KernelDensity`. An object's `score_samples` becomes `log_prob`.
    n_components : int, default=None
        Width of the code; None: set by the estimator in `fit`.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sklearn_aae.priors import Empirical
    >>> prior = Empirical(np.eye(2), n_components=2)
    >>> prior.sample(3, torch.Generator().manual_seed(0)).sum(dim=1)
    tensor([1., 1., 1.])
    """

    def __init__(self, source: Any, n_components: int | None = None) -> None:
        self.source = source
        self.n_components = n_components

    @property
    def has_full_support(self) -> bool:  # type: ignore[override]  # it depends on the source
        """Whether `log_prob` is finite everywhere; most kernels end somewhere."""
        return getattr(self.source, "kernel", "gaussian") in ("gaussian", "exponential")

    def __sklearn_clone__(self) -> Empirical:
        # clone() would take the fit from a fitted source.
        return Empirical(self.source, self.n_components)

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw codes, tensor (n_samples, n_components)."""
        device = generator.device
        if not self._can_sample():
            rows = torch.as_tensor(np.asarray(self.source, dtype=np.float32), device=device)
            chosen = torch.randint(len(rows), (n_samples,), generator=generator, device=device)
            return rows[chosen]
        seed = torch.randint(2**31 - 1, (), generator=generator, device=device).item()
        random_state = np.random.RandomState(int(seed))
        if "random_state" in inspect.signature(self.source.sample).parameters:
            drawn = self.source.sample(n_samples, random_state=random_state)
        else:
            # GaussianMixture takes its generator from a parameter: a shallow copy with another
            # one leaves the user's object as it was.
            drawn = copy.copy(self.source).set_params(random_state=random_state).sample(n_samples)
        codes = drawn[0] if isinstance(drawn, tuple) else drawn
        rows = torch.as_tensor(np.asarray(codes, dtype=np.float32), device=device)
        # A mixture returns its draws component by component.
        return rows[torch.randperm(len(rows), generator=generator, device=device)]

    def _can_sample(self) -> bool:
        # Frames are arrays with another meaning of `sample`.
        return hasattr(self.source, "sample") and not hasattr(self.source, "__array__")

    @available_if(lambda self: hasattr(self.source, "score_samples"))
    def log_prob(self, z: Tensor) -> Tensor:
        """Log density in nats, tensor (n,), of codes (n, n_components)."""
        log_density = self.source.score_samples(z.detach().cpu().numpy())
        return torch.as_tensor(log_density, dtype=z.dtype, device=z.device)

    def _check(self) -> None:
        if self._can_sample():
            takes_seed = "random_state" in inspect.signature(self.source.sample).parameters
            if not takes_seed and not hasattr(self.source, "set_params"):
                raise ValueError(
                    "Empirical: source.sample must take random_state, or the source must have a "
                    "parameter random_state as scikit-learn's mixtures have, got "
                    f"{self.source!r}. Or pass an object with sample(n_samples, generator) as the "
                    "prior itself."
                )
            return
        rows = np.asarray(self.source)
        if rows.ndim != 2 or 0 in rows.shape or rows.dtype.kind not in "iuf":
            raise ValueError(
                "Empirical: source must be a non-empty array of numbers (n_rows, n_components) or "
                f"an object with a method sample, got shape {rows.shape} of {rows.dtype}."
            )
        if not np.isfinite(rows).all():
            raise ValueError("Empirical: source holds NaN or infinity. Remove those rows.")

"""Scores of rows, by every score method, and the threshold between inliers and outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_aae._learned.density import Density, NeighborSearch, log_density
from sklearn_aae._rows.chunks import SelectedRows, in_dtype
from sklearn_aae._rows.inference import Inference
from sklearn_aae._training.critics import Critic

# Tukey's fence: the lower quartile less this many interquartile ranges.
_TUKEY = 1.5


def density_scores(
    inference: Inference, X: np.ndarray | SelectedRows, density: Density
) -> np.ndarray:
    """Log density of rows, from their nearest references."""
    autoencoder = inference.in_dtype_of(X)
    search = NeighborSearch(density, X.dtype)

    def score(x: Tensor) -> Tensor:
        decoded, residual = (part.cpu().numpy() for part in inference.split(autoencoder, x))
        rho_squared = search.mean_squares(decoded, residual)
        return torch.from_numpy(log_density(density, rho_squared))

    return inference.on_rows(score, X, None)


def reconstruction_scores(inference: Inference, X: np.ndarray | SelectedRows) -> np.ndarray:
    """Log-likelihood of rows given their reconstructions."""
    autoencoder = inference.in_dtype_of(X)
    return inference.on_rows(lambda x: reconstruction_score(inference, autoencoder, x), X, None)


def reconstruction_score(inference: Inference, autoencoder: Any, x: Tensor) -> Tensor:
    """Log-likelihood (n,) of standardised rows given their reconstructions."""
    exact = inference.columns.likelihood.to(x.device, torch.float64)
    return exact.row_log_prob(autoencoder(x).double(), x.double())


def prior_scores(inference: Inference, X: np.ndarray | SelectedRows, prior: Any) -> np.ndarray:
    """Log density of codes under the prior."""
    autoencoder = inference.in_dtype_of(X)
    return inference.on_rows(lambda x: prior_score(autoencoder, prior, x), X, None)


def prior_score(autoencoder: Any, prior: Any, x: Tensor) -> Tensor:
    """Log density (n,) of the codes of standardised rows."""
    return prior.log_prob(autoencoder.encode(x).double())


def discriminator_scores(
    inference: Inference, X: np.ndarray | SelectedRows, critic: Critic, discriminator: nn.Module
) -> np.ndarray:
    """The discriminator's logit for codes, as those of unlabelled rows."""
    autoencoder = inference.in_dtype_of(X)
    discriminator = in_dtype(discriminator, X.dtype)

    def score(x: Tensor) -> Tensor:
        return discriminator_score(autoencoder, critic, discriminator, x)

    return inference.on_rows(score, X, None)


def discriminator_score(autoencoder: Any, critic: Critic, discriminator: Any, x: Tensor) -> Tensor:
    """Logit (n,) of the codes of standardised rows."""
    z = autoencoder.encode(x)
    unlabelled = torch.full_like(z[:, 0], -1, dtype=torch.int64)
    return discriminator(critic.with_labels(z, unlabelled)).squeeze(1)


def offset(
    scores: np.ndarray, contamination: float | str, sample_weight: np.ndarray | None
) -> float:
    """Score below which rows are outliers: a quantile, or Tukey's fence for "auto"."""
    if sample_weight is None:
        how: dict[str, Any] = {}
    else:
        how = {"weights": sample_weight, "method": "inverted_cdf"}
    if isinstance(contamination, str):
        lower, upper = np.quantile(scores, [0.25, 0.75], **how)
        return float(lower - _TUKEY * (upper - lower))
    return float(np.quantile(scores, contamination, **how))

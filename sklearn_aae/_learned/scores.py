"""Scores of rows, by every score method, and the threshold between inliers and outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_aae._learned.density import Density, DensityScore, as_if_new
from sklearn_aae._learned.references import Trained
from sklearn_aae._rows.chunks import SelectedRows, in_dtype
from sklearn_aae._rows.inference import Inference
from sklearn_aae._training.critics import Critic

# Tukey's fence: the lower quartile less this many interquartile ranges.
_TUKEY = 1.5


def density_scores(
    inference: Inference, X: np.ndarray | SelectedRows, density: Density, inflation: float = 1.0
) -> np.ndarray:
    """Log density of rows, from their nearest references and the whole of them.

    Of rows that the networks were trained on as if they were new, with the `inflation` that squared
    residuals then have.
    """
    autoencoder = inference.in_dtype_of(X)
    density_score = DensityScore(density, X.dtype)

    def score(x: Tensor) -> Tensor:
        decoded, residual = (part.cpu().numpy() for part in inference.split(autoencoder, x))
        return torch.from_numpy(density_score(*as_if_new(decoded, residual, inflation)))

    return inference.on_rows(score, X, None)


def scores_as_if_new(
    inference: Inference, X: Any, rows: np.ndarray, density: Density, trained: Trained
) -> np.ndarray:
    """Log density of the given rows of X, as if the networks had not been trained on any."""
    scores = np.full(len(X), np.nan)
    if density.own_scores is not None:
        scores[trained.references] = density.own_scores
    # Marks: sets of positions would be sorted, which takes seconds for a million.
    is_trained, is_reference = np.zeros((2, len(X)), dtype=bool)
    is_trained[trained.rows] = is_reference[trained.references] = True
    rest = np.sort(rows[~is_reference[rows]])
    for group, inflation in (
        (rest[is_trained[rest]], trained.inflation),
        (rest[~is_trained[rest]], 1.0),
    ):
        if len(group) > 0:
            selected = SelectedRows(X, group)
            scores[group] = density_scores(inference, selected, density, inflation)
    return scores[rows]


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

"""Scores of rows by every score method, as functions of tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sklearn_aae._graphs.parts import Parts
from sklearn_aae._learned.density import FURTHEST, Density, log_constant
from sklearn_aae._learned.scores import discriminator_score, prior_score, reconstruction_score


def scores_of(parts: Parts) -> Callable[[Tensor], Tensor]:
    """The scores (n,) of rows X in float64, as `score_samples` of the estimator gives them."""
    model, inference, autoencoder = parts.model, parts.inference, parts.autoencoder
    match model.score_method:
        case "log_likelihood":
            return lambda X: _density_score(parts, X)
        case "reconstruction":
            return lambda X: reconstruction_score(inference, autoencoder, parts.standardized(X))
        case "prior":
            return lambda X: prior_score(autoencoder, model.prior_, parts.standardized(X))
        case _:
            critic, network = model.net_.game.critics[0], parts.discriminator
            return lambda X: discriminator_score(
                autoencoder, critic, network, parts.standardized(X)
            ).double()


def _density_score(parts: Parts, X: Tensor) -> Tensor:
    density: Density = parts.model._density
    decoded, residual = parts.inference.split(parts.autoencoder, parts.standardized(X))
    queries = torch.cat([decoded, density.residual_scale * residual], dim=1)
    rho_squared = _mean_squares(density, queries.clamp(-FURTHEST, FURTHEST))
    d = decoded.shape[1]
    return log_constant(density) - 0.5 * d * (rho_squared + density.epsilon * d).log()


def _mean_squares(density: Density, queries: Tensor) -> Tensor:
    """Mean squared distance to the nearest references, (n,): one matrix product, and the k least.

    In double precision also for rows in float32: the products are larger than what is left of
    their differences.
    """
    references = torch.from_numpy(density.references)
    center = references.mean(dim=0)
    references, queries = references - center, queries - center
    half_norms = 0.5 * references.square().sum(dim=1)
    halves = half_norms - queries @ references.T
    least = halves.topk(density.n_neighbors, largest=False).values
    squares = 2 * least + queries.square().sum(dim=1, keepdim=True)
    return squares.clamp(min=0).mean(dim=1)

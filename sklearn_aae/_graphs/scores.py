"""Scores of rows by every score method, as functions of tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sklearn_aae._graphs.parts import Parts
from sklearn_aae._graphs.tables import corrected
from sklearn_aae._learned.density import FURTHEST, SAME, Density
from sklearn_aae._learned.neighbors import SPARE
from sklearn_aae._learned.scores import discriminator_score, prior_score, reconstruction_score


def scores_of(parts: Parts) -> Callable[[Tensor], Tensor]:
    """The scores (n,) of rows X in float64, as `score_samples` of the estimator gives them."""
    score = _scores_by_method(parts)
    correction = vars(parts.model).get("_gap_correction")  # not in older files
    if not parts.has_gaps or correction is None:
        return score
    surprise = parts.model._surprise

    def of_cells(X: Tensor) -> Tensor:
        cells = parts.cells(X)
        scores = corrected(score(X), cells.missing, correction)
        return scores - surprise * cells.unseen.double().sum(dim=1)

    return of_cells


def _scores_by_method(parts: Parts) -> Callable[[Tensor], Tensor]:
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
    """What `DensityScore` computes."""
    density: Density = parts.model._density
    decoded, residual = parts.inference.split(parts.autoencoder, parts.standardized(X))
    queries = torch.cat([decoded, density.residual_scale * residual], dim=1)
    queries = queries.clamp(-FURTHEST, FURTHEST)
    squares, positions = _nearest(density, queries)
    d = density.n_features
    near = (squares.mean(dim=1) + density.epsilon * d).sqrt()
    if density.weights is not None:
        mass = torch.from_numpy(density.weights)[positions].sum(dim=1)
        mass = mass * (len(density.references) / density.n_neighbors)
        near = near * (-mass.log() / d).exp()
    distance = near / density.near
    if density.center is not None:
        far = _distance_from_center(density, density.center, queries) / density.far
        distance = density.of_neighbors * distance + (1 - density.of_neighbors) * far
    scores = density.typical - d * distance.log()
    if density.own_scores is not None:
        own = torch.from_numpy(density.own_scores)[positions[:, 0]]
        scores = torch.where(squares[:, 0] <= SAME * d, own, scores)
    return scores


def _nearest(density: Density, queries: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances to the nearest references and their positions, (n, k).

    In double precision also for rows in float32. Matrix products tell which references are near,
    and differences how near: of rows that are nearly equal, products leave nothing but rounding.
    """
    references = torch.from_numpy(density.references)
    center = references.mean(dim=0)
    references, queries = references - center, queries - center
    half_norms = 0.5 * references.square().sum(dim=1)
    halves = half_norms - queries @ references.T
    n_found = min(density.n_neighbors + SPARE, len(references))
    found = halves.topk(n_found, largest=False).indices
    differences = references[found] - queries[:, None]
    least = differences.square().sum(dim=2).topk(density.n_neighbors, largest=False)
    return least.values, found.gather(1, least.indices)


def _distance_from_center(density: Density, center: np.ndarray, queries: Tensor) -> Tensor:
    features = queries
    if density.whitening is not None:
        d = density.n_features
        residual = queries[:, d:] / density.residual_scale
        features = torch.cat([queries[:, :d] + residual, _length(residual)[:, None]], dim=1)
    difference = features - torch.from_numpy(center)
    if density.whitening is None:
        return _length(difference)
    # Squares of what is very far would overflow.
    largest = difference.abs().amax(dim=1, keepdim=True).clamp(min=1)
    white = (difference / largest) @ torch.from_numpy(density.whitening).T
    return largest[:, 0] * _length(white)


def _length(rows: Tensor) -> Tensor:
    largest = rows.abs().amax(dim=1, keepdim=True).clamp(min=1)
    return largest[:, 0] * (rows / largest).square().sum(dim=1).sqrt()

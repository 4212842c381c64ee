"""The density of rows that integrates to one: a mixture of one local distribution a reference.

Around every reference lies one component, at the mean m of the k references nearest to it, itself
included, in the metric of `density.py`. A row leaves it along the manifold, where decodings of
these neighbours vary together, in as many directions as the code has, and off it, where what is
left of their decodings and their residuals vary, column by column:

    p(x) = sum_i w_i t(x; m_i, S_i),  S = T'T + diag(v),

t being Student's distribution with location m and scale S, whose tails reach rows that are far from
all references. It is the estimate of Vincent and Bengio (2003), "Manifold Parzen windows", with the
autoencoder to say what is manifold. Each component integrates to one, and so does the density, in
any number of dimensions and of references; an estimate from the k-th neighbour (Loftsgaarden and
Quesenberry, 1965) does not.

The variances v of k rows are drawn to those of all residuals, which count as much as a few rows;
these are drawn half way to their mean over the columns, without which the rare values of columns
that are nearly constant would decide which of two models is better.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.special import gammaln
from sklearn.utils import gen_batches
from torch import Tensor

from sklearn_aae._learned.codes import n_local
from sklearn_aae._learned.density import Density
from sklearn_aae._learned.neighbors import NeighborSearch
from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.inference import Inference
from sklearn_aae._rows.scaling import chunk_size

# Degrees of freedom, and rows that the residuals of the whole are worth. Of four and eight, four is
# ahead on most of 13 tables, and the number of factors of simulated rows is found more often.
_DEGREES = 4
_ROWS_OF_PRIOR = 4

# Rows of fewer columns come in chunks as if they had as many.
_COLUMNS_OF_CHUNKS = 512

# Squares of anything further out, over the smallest variance, would overflow.
_FURTHEST = 1e70


class _Components(NamedTuple):
    """Some of the components, for distances (x - m)' inv(S) (x - m).

    `centers` and `precisions` 1 / v (m, n_features); `directions` A (m, k, n_features), by which
    inv(S) = diag(1 / v) - A'A; `log_heights` of the peaks with their weights (m,).
    """

    centers: np.ndarray
    precisions: np.ndarray
    directions: np.ndarray
    log_heights: np.ndarray


def log_densities(
    inference: Inference, X: np.ndarray | SelectedRows, density: Density
) -> np.ndarray:
    """Log density of standardised rows in nats, (n_samples,)."""
    autoencoder, d = inference.in_dtype_of(X), inference.n_features
    mixture = Mixture(density, autoencoder.n_components)

    def filled(x: Tensor) -> Tensor:
        decoded, residual = inference.split(autoencoder, x)
        return decoded + residual

    out = np.empty(len(X))
    # Components are made anew for each chunk: rather few chunks.
    for rows in gen_batches(len(X), chunk_size(max(d, _COLUMNS_OF_CHUNKS))):
        out[rows] = mixture(inference.on_rows(filled, X[rows], d).astype(np.float64))
    return out


class Mixture:
    """Log density of rows, of which a reference may be one.

    Parameters
    ----------
    density : Density
        Holder of the references.
    n_components : int
        Width of the code.
    """

    def __init__(self, density: Density, n_components: int) -> None:
        d, n = density.n_features, len(density.references)
        self._references = density.references
        self._decoded = density.references[:, :d]
        self._residual = density.references[:, d:] / density.residual_scale
        self._weights = np.full(n, 1 / n) if density.weights is None else density.weights
        # Distances are differences of squares, which are smaller about the centre.
        self._origin = self._weights @ (self._decoded + self._residual)
        self._decoded = self._decoded - self._origin
        noise = self._weights @ np.square(self._residual)
        self._noise = (noise + noise.mean()) / 2
        self._epsilon = density.epsilon
        self._search = NeighborSearch(density.references, np.dtype("float64"))
        self._n_components = n_components
        self._n_neighbors = n_local(n, n_components)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Log densities (n_samples,) of standardised rows (n_samples, n_features), in nats."""
        x = (x - self._origin).clip(-_FURTHEST, _FURTHEST)
        rows = torch.from_numpy(x)
        log_density = torch.full((len(x),), -torch.inf, dtype=torch.float64)
        width = self._n_components * max(x.shape) + self._n_neighbors * x.shape[1]
        for chosen in gen_batches(len(self._decoded), chunk_size(width)):
            part = _log_densities(self._components(chosen), rows)
            log_density = torch.logaddexp(log_density, part)
        return log_density.numpy()

    def _components(self, chosen: slice) -> _Components:
        _, nearest = self._search.nearest(self._references[chosen], self._n_neighbors)
        share = self._weights[nearest]
        share = share / share.sum(axis=1, keepdims=True)
        decoded, along = _centered(self._decoded[nearest], share)
        residual, off = _centered(self._residual[nearest], share)
        # Squares about a mean of few are too small; of one they are zero.
        known = (1 - np.square(share).sum(axis=1)).clip(min=np.finfo(float).eps)
        weight = (share / known[:, None])[:, :, None]
        k, c = self._n_neighbors, self._n_components
        tangents, bend = _tangents(np.sqrt(weight) * along, c)
        # As many degrees of freedom as there are tangents are spent on them.
        local = (weight * np.square(off)).sum(axis=1) + bend * ((k - 1) / max(1, k - 1 - c))
        variances = (_ROWS_OF_PRIOR * self._noise + k * local) / (_ROWS_OF_PRIOR + k)
        variances += self._epsilon
        return _inverted(decoded + residual, tangents, variances, self._weights[chosen])


def _tangents(factors: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Leading directions (m, n, d) of factors (m, k, d), and squares that they leave (m, d)."""
    _, vectors = np.linalg.eigh(factors @ factors.transpose(0, 2, 1))
    leading = vectors[:, :, -n:].transpose(0, 2, 1) @ factors
    left = np.square(factors).sum(axis=1) - np.square(leading).sum(axis=1)
    return leading, left.clip(min=0)


def _centered(values: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (m, d) of neighbours (m, k, d), and what they differ by."""
    center = np.einsum("ij,ijc->ic", share, values)
    return center, values - center[:, None]


def _inverted(
    centers: np.ndarray, factors: np.ndarray, variances: np.ndarray, weights: np.ndarray
) -> _Components:
    """Components of scale F'F + diag(variances), by Woodbury's identity."""
    k, d = factors.shape[1:]
    scaled = factors / np.sqrt(variances)[:, None]
    lower = np.linalg.cholesky(np.eye(k) + scaled @ scaled.transpose(0, 2, 1))
    directions = np.linalg.solve(lower, factors / variances[:, None])
    log_determinant = np.log(variances).sum(axis=1)
    log_determinant += 2 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    log_peak = gammaln((_DEGREES + d) / 2) - gammaln(_DEGREES / 2)
    log_peak -= d / 2 * np.log(_DEGREES * np.pi)
    log_heights = np.log(weights) + log_peak - log_determinant / 2
    return _Components(centers, 1 / variances, directions, log_heights)


def _log_densities(components: _Components, x: Tensor) -> Tensor:
    """Log of the sum of the components at rows x, (n_samples,)."""
    centers, precisions, directions, log_heights = (torch.from_numpy(part) for part in components)
    n_components, k, d = directions.shape
    offsets = torch.einsum("ikd,id->ik", directions, centers).ravel()
    along = torch.addmm(offsets, x, directions.reshape(-1, d).T, beta=-1)
    squares = torch.addmm((precisions * centers.square()).sum(dim=1), x.square(), precisions.T)
    squares.addmm_(x, (precisions * centers).T, alpha=-2)
    squares -= along.square_().view(len(x), n_components, k).sum(dim=2)
    falls = squares.clamp_(min=0).div_(_DEGREES).log1p_()
    return torch.logsumexp(log_heights - (_DEGREES + d) / 2 * falls, dim=1)

"""Density of the codes of training rows, to draw new codes from: a mixture of local normals.

Around every code z_i lies one component, the normal distribution with the mean m_i and covariance
C_i of the k codes nearest to it, itself included:

    p(z) = sum_i w_i N(z; m_i, C_i).

It is the adaptive kernel estimate of Vincent and Bengio (2003), "Manifold Parzen windows", with
kernels around local means: they follow the sheets that codes lie on, and, unlike kernels around the
codes, do not widen the whole. A draw needs no covariance,

    z = m_i + sum_j sqrt(p_j) eta_j (z_j - m_i),  eta_j ~ N(0, 1),

over the neighbours j with weights p_j, so that nothing is to be fitted but where to stretch it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from sklearn_aae._rows.scaling import chunk_size

# Neighbours for each dimension of the code, and their smallest number. By held-out likelihood, two
# for each dimension were the best of a half, one, two and four for three autoencoders of MNIST with
# 16 and 32 components, and 16 of 10, 16 and 20 the best on average over nine tables with 2 to 5.
_NEIGHBORS_PER_DIMENSION = 2
_MIN_NEIGHBORS = 16

# Components that tell how much averaging narrows the whole.
_MAX_MEASURED = 1000


class CodeDensity(NamedTuple):
    """Codes (n_codes, n_components), their weights (n_codes,) with sum 1, and what is stretched.

    Local means are nearer to the centre than codes. Draws are stretched about `mean` by `stretch`,
    both (n_components,), so that every column keeps the variance of its codes. All in float64.
    """

    codes: np.ndarray
    weights: np.ndarray
    mean: np.ndarray
    stretch: np.ndarray


def fit_code_density(
    codes: np.ndarray, weights: np.ndarray | None, random_state: np.random.RandomState
) -> CodeDensity:
    """Density with the given codes as references.

    Parameters
    ----------
    codes : ndarray of shape (n_codes, n_components)
    weights : ndarray of shape (n_codes,) or None
        Positive; None for equal ones.
    random_state : RandomState
        Chooses the components that are measured where there are many.
    """
    codes = codes.astype(np.float64)
    n_codes = len(codes)
    weights = np.ones(n_codes) if weights is None else weights
    weights = weights / weights.sum()
    mean = weights @ codes
    unstretched = CodeDensity(codes, weights, mean, np.ones(codes.shape[1]))
    measured = np.arange(n_codes)
    if n_codes > _MAX_MEASURED:
        measured = random_state.choice(n_codes, _MAX_MEASURED, replace=False)
    variance = np.zeros(codes.shape[1])  # within and between local normals
    for rows in _chunks(unstretched, len(measured)):
        center, difference, share = _local_normals(unstretched, measured[rows])
        within = np.einsum("ij,ijc->ic", share, np.square(difference))
        variance += weights[measured[rows]] @ (within + np.square(center - mean))
    # Over the same components, so that chance in their choice mostly cancels.
    wanted = weights[measured] @ np.square(codes[measured] - mean)
    ratio = np.divide(wanted, variance, out=np.ones_like(wanted), where=variance > 0)
    return unstretched._replace(stretch=np.sqrt(ratio))


def draw_codes(
    density: CodeDensity, n_samples: int, random_state: np.random.RandomState
) -> np.ndarray:
    """Draw codes, array (n_samples, n_components)."""
    chosen = random_state.choice(len(density.codes), n_samples, p=density.weights)
    drawn = np.empty((n_samples, density.codes.shape[1]))
    for rows in _chunks(density, n_samples):
        center, difference, share = _local_normals(density, chosen[rows])
        eta = np.sqrt(share) * random_state.standard_normal(share.shape)
        drawn[rows] = center + np.einsum("ij,ijc->ic", eta, difference)
    return density.mean + density.stretch * (drawn - density.mean)


def _local_normals(
    density: CodeDensity, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the components around the chosen codes: means, neighbours less means, and their shares.

    Arrays (n, n_components), (n, n_neighbors, n_components) and (n, n_neighbors).
    """
    codes, weights = density.codes, density.weights
    search = NearestNeighbors(n_neighbors=n_local(*codes.shape), algorithm="brute").fit(codes)
    neighbors = search.kneighbors(codes[chosen], return_distance=False)
    share = weights[neighbors]
    share = share / share.sum(axis=1, keepdims=True)
    center = np.einsum("ij,ijc->ic", share, codes[neighbors])
    return center, codes[neighbors] - center[:, None], share


def n_local(n_codes: int, n_components: int) -> int:
    """How many neighbours make up a local distribution."""
    return min(max(_NEIGHBORS_PER_DIMENSION * n_components, _MIN_NEIGHBORS), n_codes)


def _chunks(density: CodeDensity, n: int) -> list[slice]:
    width = n_local(*density.codes.shape) * density.codes.shape[1]
    return list(gen_batches(n, chunk_size(width)))

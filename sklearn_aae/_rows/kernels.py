"""What a wide network can learn from few rows, as products of features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh
from sklearn.utils import gen_batches

# Entries of a kernel matrix that are computed at a time.
_ENTRIES = 2**21

# Variance, as a share of the largest, below which a direction of the base rows is rounding.
_SMALL_VARIANCE = 1e-8


def tangent_kernel(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Neural tangent kernel of a network with one hidden layer of rectified units.

    A network that is wide enough and is trained by small steps is a kernel machine with this kernel
    (Jacot, Gabriel and Hongler, 2018): the sum of the arc-cosine kernels of degree 1, which the
    output weights learn with, and of degree 0 times the product of the rows, which the hidden ones
    learn with (Cho and Saul, 2009). Biases are weights of a column of ones.

    Parameters
    ----------
    x : ndarray of shape (n, n_features)
    z : ndarray of shape (m, n_features)

    Returns
    -------
    kernel : ndarray of shape (n, m), float64

    References
    ----------
    Jacot, Gabriel and Hongler (2018), "Neural tangent kernel: convergence and generalization in
    neural networks", https://arxiv.org/abs/1806.07572

    Cho and Saul (2009), "Kernel methods for deep learning",
    https://papers.nips.cc/paper/3628-kernel-methods-for-deep-learning
    """
    x, z = (np.column_stack([a, np.ones(len(a))]).astype(np.float64) for a in (x, z))
    product = x @ z.T
    norms = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(z, axis=1))
    cosine = (product / norms).clip(-1, 1)
    angle = np.arccos(cosine)
    of_outputs = norms * (np.sin(angle) + (np.pi - angle) * cosine)
    return (of_outputs + (np.pi - angle) * product) / np.pi


def tangent_features(
    rows: Callable[[np.ndarray], np.ndarray], base: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """From positions to features whose products are the tangent kernel, with the base rows exactly.

    A linear model of these features that is fitted to base rows is the kernel machine (Schölkopf,
    Herbrich and Smola, 2001, "A generalized representer theorem"); left-out rows may be among them,
    as the features know no labels.

    Parameters
    ----------
    rows : callable
        From positions to rows, ndarray (n, n_features).
    base : ndarray of int, shape (n_base,)
        Positions of the rows that models are fitted to.

    Returns
    -------
    features : callable
        From positions to features, ndarray (n, at most n_base).
    """
    known = rows(base)
    values, vectors = eigh(tangent_kernel(known, known))
    kept = values > _SMALL_VARIANCE * values[-1]
    whitening = vectors[:, kept] / np.sqrt(values[kept])

    def features(positions: np.ndarray) -> np.ndarray:
        chunks = gen_batches(len(positions), max(1, _ENTRIES // len(base)))
        return np.concatenate(
            [tangent_kernel(rows(positions[chunk]), known) @ whitening for chunk in chunks]
        )

    return features

"""Shares of the classes among all rows, from labels that were drawn class by class."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

# Steps of the expectation-maximisation, and the change of a share that ends it.
_MAX_STEPS = 1000
_SMALL_CHANGE = 1e-6

_TINY_SHARE = 1e-6


def estimate_shares(
    log_p: np.ndarray, labelled_shares: np.ndarray, sample_weight: np.ndarray, reliability: float
) -> np.ndarray:
    """Shares of the classes among unlabelled rows.

    Class probabilities that were learned where the classes have some shares hold, with others, once
    they are multiplied by the ratio of the shares; and the shares are the means of the
    probabilities. Doing both in turn makes the rows most likely (Saerens, Latinne and Decaestecker,
    2002). Probabilities that tell classes apart by chance alone would lead anywhere: the result is
    drawn back to the shares among labelled rows as far as they do.

    Parameters
    ----------
    log_p : ndarray of shape (n_rows, n_classes)
        Logarithms of the class probabilities of unlabelled rows, up to a constant for each row.
    labelled_shares : ndarray of shape (n_classes,)
        Shares for which they hold.
    sample_weight : ndarray of shape (n_rows,)
        Weights of the rows.
    reliability : float
        From 0, where the result is `labelled_shares`, to 1.

    Returns
    -------
    shares : ndarray of shape (n_classes,)

    References
    ----------
    Saerens, Latinne and Decaestecker (2002), "Adjusting the outputs of a classifier to new a priori
    probabilities: a simple procedure", https://doi.org/10.1162/089976602753284446
    """
    ratio = softmax(log_p, axis=1) / np.where(labelled_shares > 0, labelled_shares, np.inf)
    weight = sample_weight / sample_weight.sum()
    shares = labelled_shares
    for _ in range(_MAX_STEPS):
        p = ratio * shares
        new = weight @ (p / p.sum(axis=1, keepdims=True))
        change = np.abs(new - shares).max()
        shares = new
        if change < _SMALL_CHANGE:
            break
    log_found, log_known = (np.log(s.clip(_TINY_SHARE)) for s in (shares, labelled_shares))
    return softmax(reliability * log_found + (1 - reliability) * log_known)


def reliability(log_p: np.ndarray, y: np.ndarray, sample_weight: np.ndarray) -> float:
    """How far probabilities of left-out rows tell the classes apart by more than chance.

    1 - 1/F, and at least 0, where F is the ratio of the variance of the probabilities between
    classes to that within them, 1 on average where they differ by chance: what James and Stein
    (1961) shrink means by.

    Parameters
    ----------
    log_p : ndarray of shape (n_rows, n_classes)
        Logarithms of class probabilities, up to a constant for each row.
    y : ndarray of int, shape (n_rows,)
        Classes of the rows.
    sample_weight : ndarray of shape (n_rows,)
        Weights of the rows.

    References
    ----------
    James and Stein (1961), "Estimation with quadratic loss",
    https://projecteuclid.org/euclid.bsmsp/1200512173
    """
    n_rows, n_classes = log_p.shape
    if n_rows <= n_classes:
        return 0.0
    p, weight = softmax(log_p, axis=1), sample_weight * n_rows / sample_weight.sum()
    member = weight[:, None] * (y[:, None] == np.arange(n_classes))
    n = member.sum(axis=0)
    means = member.T @ p / np.where(n > 0, n, 1)[:, None]
    between = n @ np.square(means - weight @ p / n_rows).sum(axis=1) / (n_classes - 1)
    within = weight @ np.square(p - means[y]).sum(axis=1) / (n_rows - n_classes)
    return max(0.0, 1 - within / between) if between > 0 else 0.0

"""Real and generated rows by the features, or the classes, that a network gives them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from sklearn_aae.metrics.checks import check_integer, check_rows, check_same_columns

# A float32 softmax sums to one within about 1e-6; a row that is off by more than this was not
# normalised, or holds logits.
_PROBABILITY_TOLERANCE = 1e-3


def frechet_distance(X: ArrayLike, Y: ArrayLike) -> float:
    r"""Squared Fréchet distance between Gaussians fitted to two sets of rows.

    .. math::

        \lVert \mu_X - \mu_Y \rVert^2
        + \operatorname{tr}\bigl(C_X + C_Y - 2 (C_X^{1/2} C_Y C_X^{1/2})^{1/2}\bigr)

    On features of an Inception network this is the Fréchet inception distance (FID). Only means
    and covariances (with n - 1 in the denominator) are compared: equal ones give zero whatever the
    shapes of the clouds.

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        Features of one set, at least 2 rows.
    Y : array-like of shape (n_samples_Y, n_features)
        Features of the other set, at least 2 rows.

    Returns
    -------
    distance : float
        Between 0 (equal means and covariances) and infinity, in squared units of the features.

    Raises
    ------
    ValueError
        If an array has fewer than 2 rows, or the numbers of columns differ.

    Notes
    -----
    Fewer rows than columns are allowed (the covariances are then singular), but the estimate is
    biased upwards when rows are few: compare only distances computed from the same numbers of rows.

    The covariances are never formed. With :math:`C_X = A^T A` and :math:`C_Y = B^T B` from QR
    decompositions of the centred rows, the trace term is
    :math:`\min_Q \lVert A - Q B \rVert_F^2` over orthogonal Q, which a singular value
    decomposition of :math:`A B^T` solves. A sum of squares is never negative, never complex, and
    keeps the digits that a difference of traces loses between close sets.

    References
    ----------
    M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter, "GANs Trained by a Two
    Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017,
    https://arxiv.org/abs/1706.08500

    R. Bhatia, T. Jain, Y. Lim, "On the Bures-Wasserstein distance between positive definite
    matrices", 2019 (theorem 1, the form used here), https://arxiv.org/abs/1712.01504

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.metrics import frechet_distance
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> round(frechet_distance(X, X + [3.0, 4.0, 0.0]), 6)
    25.0
    """
    way_out = "a covariance needs 2 rows; pass more"
    X = check_rows(X, "X", min_samples=2, way_out=way_out)
    Y = check_rows(Y, "Y", min_samples=2, way_out=way_out)
    check_same_columns(X, "X", Y, "Y")
    mean_X, mean_Y = X.mean(axis=0), Y.mean(axis=0)
    A = np.linalg.qr(X - mean_X, mode="r") / np.sqrt(X.shape[0] - 1)
    B = np.linalg.qr(Y - mean_Y, mode="r") / np.sqrt(Y.shape[0] - 1)
    # Rows of zeros change neither covariance and make room for a square Q.
    n_rows = max(A.shape[0], B.shape[0])
    A = np.pad(A, ((0, n_rows - A.shape[0]), (0, 0)))
    B = np.pad(B, ((0, n_rows - B.shape[0]), (0, 0)))
    U, _, Vt = np.linalg.svd(A @ B.T)
    return float(np.sum((mean_X - mean_Y) ** 2) + np.sum((A - U @ (Vt @ B)) ** 2))


def inception_score(probabilities: ArrayLike, *, n_splits: int = 1) -> float:
    r"""Confidence and variety of a classifier's answers on generated rows.

    .. math::

        \exp\Bigl(\frac{1}{n} \sum_i \operatorname{KL}\bigl(p(y \mid x_i) \,\|\, p(y)\bigr)\Bigr),
        \qquad p(y) = \frac{1}{n} \sum_i p(y \mid x_i)

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        Class probabilities of generated rows, from any classifier trained on real ones; at least 2
        classes, each row at least 0 and summing to 1.
    n_splits : int, default=1
        Number of consecutive, near equal parts that are scored on their own and averaged. 1 uses
        all rows at once; the original paper reports 10. Between 1 and n_samples.

    Returns
    -------
    score : float
        Between 1 (all rows get the same answer) and n_classes (every row certain, all classes
        equally frequent). Higher is better.

    Raises
    ------
    TypeError
        If `n_splits` is not an integer.
    ValueError
        If a row is not a probability distribution, there are fewer than 2 classes, or fewer rows
        than splits.

    Notes
    -----
    The real data are not looked at, so a generator that repeats one perfect row per class reaches
    the maximum: read it next to :func:`precision_recall` or :func:`density_coverage`.

    References
    ----------
    T. Salimans, I. Goodfellow, W. Zaremba, V. Cheung, A. Radford, X. Chen, "Improved Techniques for
    Training GANs", 2016, https://arxiv.org/abs/1606.03498

    S. Barratt, R. Sharma, "A Note on the Inception Score", 2018, https://arxiv.org/abs/1801.01973

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.metrics import inception_score
    >>> inception_score(np.full((4, 4), 0.25))
    1.0
    >>> round(inception_score(np.eye(4)), 6)
    4.0
    """
    check_integer(n_splits, "n_splits", minimum=1)
    p = check_rows(
        probabilities,
        "probabilities",
        min_samples=n_splits,
        way_out=f"pass more rows or lower n_splits={n_splits}",
    )
    if p.shape[1] < 2:
        raise ValueError(
            "probabilities must have at least 2 columns (n_classes), got "
            f"{p.shape[1]}: pass the whole output of predict_proba."
        )
    if p.min() < 0.0:
        raise ValueError(
            f"probabilities must be at least 0, got {p.min():.6g}: pass the output of "
            "predict_proba, not of decision_function or predict_log_proba."
        )
    sums = p.sum(axis=1, keepdims=True)
    worst = sums.flat[np.abs(sums - 1.0).argmax()]
    if abs(worst - 1.0) > _PROBABILITY_TOLERANCE:
        raise ValueError(
            f"each row of probabilities must sum to 1, got a sum of {worst:.6g}: divide the rows "
            "by their sums, or pass logits through a softmax first."
        )
    p = p / sums
    scores = []
    for part in np.array_split(p, n_splits):
        divergences = rel_entr(part, part.mean(axis=0)).sum(axis=1)
        # A divergence cannot be negative; rounding can.
        scores.append(np.exp(max(0.0, divergences.mean())))
    return float(np.mean(scores))

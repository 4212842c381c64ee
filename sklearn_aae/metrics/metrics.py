"""Measure samples against samples: reconstruction, generation, clusters, outliers.

Every function takes arrays and returns numbers. Those that compare real with generated rows compare
whatever they are given: raw columns, or the features of a network the caller chose. Nothing here
imports torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import rel_entr
from sklearn.base import ClassifierMixin, clone, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import (
    average_precision_score,
    make_scorer,
    mean_absolute_error,
    mean_squared_error,
    pairwise_distances_chunked,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.metrics.cluster import contingency_matrix
from sklearn.model_selection import BaseCrossValidator, StratifiedKFold, check_cv, cross_val_score
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d

__all__ = [
    "ParzenResult",
    "classifier_two_sample_score",
    "clustering_error",
    "density_coverage",
    "frechet_distance",
    "inception_score",
    "maximum_mean_discrepancy",
    "outlier_average_precision_scorer",
    "outlier_roc_auc_scorer",
    "parzen_log_likelihood",
    "precision_recall",
    "reconstruction_error",
]

FloatArray = NDArray[np.float64]

# A float32 softmax sums to one within about 1e-6; a row that is off by more than this was not
# normalised, or holds logits.
_PROBABILITY_TOLERANCE = 1e-3

# The grid of the reference implementation (github.com/goodfeli/adversarial, parzen_ll.py), made for
# pixels in [0, 1].
_PARZEN_BANDWIDTHS = np.logspace(-1, 0, 10)


# Checks ---------------------------------------------------------------------------------------


def _check_rows(X: ArrayLike, name: str, *, min_samples: int, way_out: str) -> FloatArray:
    """Return X as a finite float64 matrix with at least `min_samples` rows."""
    # Zero rows pass check_array so that the message below, which has the way out, is the one seen.
    array: FloatArray = check_array(X, dtype=np.float64, input_name=name, ensure_min_samples=0)
    if array.shape[0] < min_samples:
        raise ValueError(
            f"{name} must have at least {min_samples} rows (n_samples), got {array.shape[0]}: "
            f"{way_out}."
        )
    return array


def _check_same_columns(X: FloatArray, x_name: str, Y: FloatArray, y_name: str) -> None:
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"{x_name} and {y_name} must have the same number of columns (n_features), got "
            f"{X.shape[1]} and {Y.shape[1]}: compute both with the same feature function."
        )


def _check_option(value: object, name: str, options: Iterable[str]) -> None:
    if not isinstance(value, str) or value not in options:
        listed = ", ".join(repr(option) for option in options)
        raise ValueError(f"{name} must be one of {listed}, got {value!r}.")


def _check_integer(value: object, name: str, *, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}.")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}.")
    return int(value)


def _check_positive(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}.")
    number = float(value)
    if not 0.0 < number < np.inf:
        raise ValueError(f"{name} must be positive and finite, got {value!r}.")
    return number


def _check_labels(labels: ArrayLike, name: str) -> NDArray[Any]:
    checked: NDArray[Any] = check_array(
        column_or_1d(labels), dtype=None, ensure_2d=False, ensure_min_samples=0, input_name=name
    )
    if checked.shape[0] == 0:
        raise ValueError(f"{name} must have at least 1 row, got 0: pass the labels of the rows.")
    return checked


# Distances ------------------------------------------------------------------------------------


def _centre(*arrays: FloatArray) -> tuple[FloatArray, ...]:
    """Shift all arrays by one offset, which leaves every distance between their rows alone.

    scikit-learn expands ||x - y||^2 to ||x||^2 - 2 x'y + ||y||^2, which loses the digits that the
    rows share. The median rather than the mean: one far row must not take the precision of all.
    """
    offset = np.median(arrays[0], axis=0)
    return tuple(array - offset for array in arrays)


def _squared_distance_chunks(
    X: FloatArray, Y: FloatArray | None = None
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield rows of the matrix of squared Euclidean distances, with the slice of X they belong to.

    A chunk is a fresh array as large as `sklearn.get_config()["working_memory"]` allows, which the
    caller may overwrite. With Y=None the diagonal is exactly zero.
    """
    start = 0
    for chunk in pairwise_distances_chunked(X, Y, metric="euclidean", squared=True):
        yield slice(start, start + chunk.shape[0]), chunk
        start += chunk.shape[0]


def _squared_radii(X: FloatArray, n_neighbors: int) -> FloatArray:
    """Squared distance from each row to its n_neighbors-th neighbour, not counting itself."""
    radii = np.empty(X.shape[0])
    for rows, chunk in _squared_distance_chunks(X):
        # Position 0 is the row itself, at distance exactly zero.
        chunk.partition(n_neighbors, axis=1)
        radii[rows] = chunk[:, n_neighbors]
    return radii


def _ball_distance_chunks(
    real: FloatArray, generated: FloatArray
) -> Iterator[tuple[slice, FloatArray]]:
    """Squared distances to compare with squared radii by <=, their rounding error taken off.

    The balls of precision, recall, density and coverage are closed, so duplicated rows (counts,
    categories, grey levels) lie exactly on their border, where rounding would decide. A dot product
    of n terms is off by at most n * eps * ||x|| * ||y|| <= n * eps * (||x||^2 + ||y||^2) / 2. It
    counts twice, two more terms are added to it, and the radius has an error of its own, which
    makes up the factor.
    """
    unit = 4.0 * (real.shape[1] + 2) * float(np.finfo(np.float64).eps)
    real_slack = unit * np.einsum("ij,ij->i", real, real)
    generated_slack = unit * np.einsum("ij,ij->i", generated, generated)
    for rows, chunk in _squared_distance_chunks(real, generated):
        chunk -= real_slack[rows, np.newaxis]
        chunk -= generated_slack
        yield rows, chunk


def _check_neighbor_arrays(
    X_real: ArrayLike, X_generated: ArrayLike, n_neighbors: int, *, generated_needs_radii: bool
) -> tuple[FloatArray, FloatArray]:
    _check_integer(n_neighbors, "n_neighbors", minimum=1)
    # A row is not its own neighbour, hence one row more than neighbours.
    way_out = f"pass more rows or lower n_neighbors={n_neighbors}"
    real = _check_rows(X_real, "X_real", min_samples=n_neighbors + 1, way_out=way_out)
    generated = _check_rows(
        X_generated,
        "X_generated",
        min_samples=n_neighbors + 1 if generated_needs_radii else 1,
        way_out=way_out if generated_needs_radii else "pass generated rows",
    )
    _check_same_columns(real, "X_real", generated, "X_generated")
    real, generated = _centre(real, generated)
    return real, generated


# Reconstruction -------------------------------------------------------------------------------

_RECONSTRUCTION_NORMS = {
    "mse": mean_squared_error,
    "rmse": root_mean_squared_error,
    "mae": mean_absolute_error,
}


def reconstruction_error(
    X: ArrayLike,
    X_reconstructed: ArrayLike,
    *,
    norm: Literal["mse", "rmse", "mae"] = "mse",
    multioutput: Literal["uniform_average", "raw_values"] = "uniform_average",
    sample_weight: ArrayLike | None = None,
) -> float | FloatArray:
    """Average error of a reconstruction, column by column.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows that were encoded.
    X_reconstructed : array-like of shape (n_samples, n_features)
        The same rows after decoding, in the same units.
    norm : {"mse", "rmse", "mae"}, default="mse"
        Mean squared error, its square root, or mean absolute error. The root is taken per column,
        before the columns are averaged, as in
        :func:`sklearn.metrics.root_mean_squared_error`.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Average over the columns, or one error per column.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows. None gives every row the same.

    Returns
    -------
    error : float or ndarray of shape (n_features,)
        Between 0 (exact) and infinity; an array with `multioutput="raw_values"`.

    Raises
    ------
    ValueError
        If the shapes differ, there are no rows, or an option is unknown.

    Examples
    --------
    >>> from sklearn_aae.metrics import reconstruction_error
    >>> X, X_reconstructed = [[0.0, 1.0], [2.0, 3.0]], [[0.0, 3.0], [2.0, 3.0]]
    >>> reconstruction_error(X, X_reconstructed)
    1.0
    >>> reconstruction_error(X, X_reconstructed, multioutput="raw_values")
    array([0., 2.])
    """
    _check_option(norm, "norm", _RECONSTRUCTION_NORMS)
    _check_option(multioutput, "multioutput", ("uniform_average", "raw_values"))
    way_out = "pass the rows that were encoded and the same rows decoded"
    original = _check_rows(X, "X", min_samples=1, way_out=way_out)
    decoded = _check_rows(X_reconstructed, "X_reconstructed", min_samples=1, way_out=way_out)
    if original.shape != decoded.shape:
        raise ValueError(
            "X and X_reconstructed must have the same shape, got "
            f"{original.shape} and {decoded.shape}: {way_out}."
        )
    error = _RECONSTRUCTION_NORMS[norm](
        original, decoded, multioutput=multioutput, sample_weight=sample_weight
    )
    return np.asarray(error) if multioutput == "raw_values" else float(error)


# Generation -----------------------------------------------------------------------------------


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
    X = _check_rows(X, "X", min_samples=2, way_out=way_out)
    Y = _check_rows(Y, "Y", min_samples=2, way_out=way_out)
    _check_same_columns(X, "X", Y, "Y")
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
    _check_integer(n_splits, "n_splits", minimum=1)
    p = _check_rows(
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


def precision_recall(
    X_real: ArrayLike, X_generated: ArrayLike, *, n_neighbors: int = 3
) -> tuple[float, float]:
    """Fidelity and variety of generated rows by nearest-neighbour balls.

    Each set is surrounded by closed balls, one per row, that reach to the row's `n_neighbors`-th
    neighbour in the same set. Precision is the share of generated rows inside the balls of the real
    ones (are the samples realistic?), recall the share of real rows inside the balls of the
    generated ones (is everything covered?).

    Parameters
    ----------
    X_real : array-like of shape (n_samples_real, n_features)
        Features of real rows, more than `n_neighbors`.
    X_generated : array-like of shape (n_samples_generated, n_features)
        Features of generated rows, more than `n_neighbors`. Use as many as real ones: the balls
        shrink as rows are added.
    n_neighbors : int, default=3
        Which neighbour sets the radius, at least 1. Larger values are more lenient.

    Returns
    -------
    precision : float
        Between 0 and 1.
    recall : float
        Between 0 and 1.

    Raises
    ------
    TypeError
        If `n_neighbors` is not an integer.
    ValueError
        If an array has no more rows than `n_neighbors`, or the numbers of columns differ.

    See Also
    --------
    density_coverage : Less moved by single far-off rows.

    Notes
    -----
    Distances are Euclidean and computed in chunks of
    `sklearn.get_config()["working_memory"]`. A row on the border counts as inside, as in the
    paper; the package `prdc` leaves it out, which differs only for duplicated rows.

    References
    ----------
    T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila, "Improved Precision and Recall
    Metric for Assessing Generative Models", 2019, https://arxiv.org/abs/1904.06991

    Examples
    --------
    A generator that knows one of two clusters is precise, but misses half of the data.

    >>> import numpy as np
    >>> from sklearn_aae.metrics import precision_recall
    >>> rng = np.random.default_rng(0)
    >>> X_real = np.r_[rng.uniform(0, 1, (200, 2)), rng.uniform(5, 6, (200, 2))]
    >>> X_generated = rng.uniform(0.2, 0.8, (400, 2))
    >>> precision, recall = precision_recall(X_real, X_generated)
    >>> precision > 0.9, recall < 0.5
    (True, True)
    """
    real, generated = _check_neighbor_arrays(
        X_real, X_generated, n_neighbors, generated_needs_radii=True
    )
    real_radii = _squared_radii(real, n_neighbors)
    generated_radii = _squared_radii(generated, n_neighbors)
    generated_inside = np.zeros(generated.shape[0], dtype=bool)
    real_inside = np.zeros(real.shape[0], dtype=bool)
    for rows, chunk in _ball_distance_chunks(real, generated):
        generated_inside |= (chunk <= real_radii[rows, np.newaxis]).any(axis=0)
        real_inside[rows] = (chunk <= generated_radii).any(axis=1)
    return float(generated_inside.mean()), float(real_inside.mean())


def density_coverage(
    X_real: ArrayLike, X_generated: ArrayLike, *, n_neighbors: int = 5
) -> tuple[float, float]:
    """Fidelity and variety of generated rows by balls around the real ones only.

    Real rows are surrounded by closed balls that reach to their `n_neighbors`-th real neighbour.
    Density counts in how many balls a generated row lies, divided by `n_neighbors` and averaged;
    coverage is the share of balls that hold a generated row.

    Parameters
    ----------
    X_real : array-like of shape (n_samples_real, n_features)
        Features of real rows, more than `n_neighbors`.
    X_generated : array-like of shape (n_samples_generated, n_features)
        Features of generated rows, at least 1. Use as many as real ones: coverage grows with them.
    n_neighbors : int, default=5
        Which neighbour sets the radius, at least 1.

    Returns
    -------
    density : float
        At least 0. About 1 for samples of the same distribution; above 1 where they gather in its
        dense parts.
    coverage : float
        Between 0 and 1. The same distribution reaches about ``1 - 2 ** -n_neighbors``, not 1.

    Raises
    ------
    TypeError
        If `n_neighbors` is not an integer.
    ValueError
        If X_real has no more rows than `n_neighbors`, X_generated has none, or the numbers of
        columns differ.

    See Also
    --------
    precision_recall : Fidelity and variety between 0 and 1, with balls on both sides.

    Notes
    -----
    Distances are Euclidean and computed in chunks of
    `sklearn.get_config()["working_memory"]`. A row on the border of a ball counts as inside; the
    package `prdc` leaves it out, which differs only for duplicated rows.

    References
    ----------
    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi, J. Yoo, "Reliable Fidelity and Diversity Metrics for
    Generative Models", 2020, https://arxiv.org/abs/2002.09797

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.metrics import density_coverage
    >>> rng = np.random.default_rng(0)
    >>> X_real, X_generated = rng.normal(size=(2, 500, 2))
    >>> density, coverage = density_coverage(X_real, X_generated)
    >>> round(density, 1), coverage > 0.9
    (1.0, True)
    """
    real, generated = _check_neighbor_arrays(
        X_real, X_generated, n_neighbors, generated_needs_radii=False
    )
    radii = _squared_radii(real, n_neighbors)
    n_inside = np.empty(real.shape[0], dtype=np.int64)
    for rows, chunk in _ball_distance_chunks(real, generated):
        n_inside[rows] = np.count_nonzero(chunk <= radii[rows, np.newaxis], axis=1)
    density = n_inside.sum() / (n_neighbors * generated.shape[0])
    return float(density), float((n_inside > 0).mean())


class ParzenResult(NamedTuple):
    """What :func:`parzen_log_likelihood` returns.

    Parameters
    ----------
    log_likelihood : float
        Mean log-density of the test rows, in nats per row.
    standard_error : float
        Standard deviation of the log-densities divided by the root of the number of test rows. It
        leaves out the chance in the generated rows and in the choice of the bandwidth.
    bandwidth : float
        The standard deviation of the kernel that was chosen.

    Examples
    --------
    >>> from sklearn_aae.metrics import ParzenResult
    >>> log_likelihood, standard_error, bandwidth = ParzenResult(-1.5, 0.1, 0.2)
    >>> bandwidth
    0.2
    """

    log_likelihood: float
    standard_error: float
    bandwidth: float


def _parzen_log_densities(
    X_generated: FloatArray, X: FloatArray, bandwidths: FloatArray
) -> FloatArray:
    """Log-density of the rows of X per bandwidth, shape (n_bandwidths, n_samples)."""
    n_generated, n_features = X_generated.shape
    log_densities = np.empty((bandwidths.shape[0], X.shape[0]))
    for rows, chunk in _squared_distance_chunks(X, X_generated):
        # The nearest sample gives the largest exponent at every bandwidth, so one subtraction
        # keeps all of the sums below from vanishing.
        nearest = chunk.min(axis=1)
        chunk -= nearest[:, np.newaxis]
        kernel = np.empty_like(chunk)
        for log_density, bandwidth in zip(log_densities, bandwidths, strict=True):
            np.exp(np.multiply(chunk, -0.5 / bandwidth**2, out=kernel), out=kernel)
            log_density[rows] = np.log(kernel.sum(axis=1)) - 0.5 * nearest / bandwidth**2
    log_volumes = n_features * (np.log(bandwidths) + 0.5 * np.log(2.0 * np.pi))
    log_densities -= np.log(n_generated) + log_volumes[:, np.newaxis]
    return log_densities


def parzen_log_likelihood(
    X_generated: ArrayLike,
    X_test: ArrayLike,
    *,
    X_validation: ArrayLike,
    bandwidths: ArrayLike | None = None,
) -> ParzenResult:
    r"""Test log-likelihood of a Gaussian kernel density fitted to generated rows.

    .. math::

        \log \hat p(x) = \log \frac{1}{n} \sum_{i=1}^{n} \mathcal N(x;\, g_i, \sigma^2 I)

    with generated rows :math:`g_i` and the bandwidth :math:`\sigma` of highest mean log-likelihood
    on `X_validation`.

    **Not for choosing between models.** This number is here because older papers report it. The
    estimate says little about the likelihood of the model, and it rewards blur: Theis et al. (2016)
    get a higher value from the centres of k-means than from real data. On MNIST, real training
    images score about 235 nats and the averages of their 8 nearest images 324. Always print the
    score of real training rows beside that of a model, and choose by :func:`frechet_distance`,
    :func:`precision_recall` or :func:`classifier_two_sample_score`.

    Parameters
    ----------
    X_generated : array-like of shape (n_samples_generated, n_features)
        The centres of the kernels, at least 1; the papers use 10,000. More of them raise the
        result.
    X_test : array-like of shape (n_samples_test, n_features)
        The rows to score, at least 2.
    X_validation : array-like of shape (n_samples_validation, n_features)
        Held-out rows, at least 1, that choose the bandwidth; neither test rows nor rows that the
        model was trained on.
    bandwidths : array-like of shape (n_bandwidths,), default=None
        Positive standard deviations to choose from. None is ``np.logspace(-1, 0, 10)``, which
        suits pixels in [0, 1].

    Returns
    -------
    result : ParzenResult
        Named tuple of floats `log_likelihood`, `standard_error`, `bandwidth`.

    Raises
    ------
    ValueError
        If an array has too few rows, the numbers of columns differ, or a bandwidth is not
        positive.

    Warns
    -----
    UserWarning
        If the best of 3 or more bandwidths is the smallest or largest: the maximum may lie
        outside.

    Notes
    -----
    Distances are computed in chunks of `sklearn.get_config()["working_memory"]`.

    References
    ----------
    I. Goodfellow et al., "Generative Adversarial Networks", 2014 (section 5, the protocol),
    https://arxiv.org/abs/1406.2661

    L. Theis, A. van den Oord, M. Bethge, "A note on the evaluation of generative models", 2016,
    https://arxiv.org/abs/1511.01844

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.metrics import parzen_log_likelihood
    >>> X_generated, X_test, X_validation = np.random.default_rng(0).normal(size=(3, 1000, 1))
    >>> result = parzen_log_likelihood(X_generated, X_test, X_validation=X_validation)
    >>> round(result.log_likelihood, 1)  # the entropy of a normal is 1.42 nats
    -1.4
    """
    generated = _check_rows(
        X_generated, "X_generated", min_samples=1, way_out="pass generated rows"
    )
    test = _check_rows(
        X_test, "X_test", min_samples=2, way_out="a standard error needs 2 rows; pass more"
    )
    validation = _check_rows(
        X_validation,
        "X_validation",
        min_samples=1,
        way_out="hold out rows that choose the bandwidth",
    )
    _check_same_columns(generated, "X_generated", test, "X_test")
    _check_same_columns(generated, "X_generated", validation, "X_validation")
    if bandwidths is None:
        grid = _PARZEN_BANDWIDTHS
    else:
        grid = check_array(
            bandwidths,
            dtype=np.float64,
            ensure_2d=False,
            input_name="bandwidths",
            ensure_min_samples=0,
        )
        if grid.ndim != 1 or grid.shape[0] == 0:
            raise ValueError(
                f"bandwidths must be a list of at least 1 number, got shape {grid.shape}."
            )
        if grid.min() <= 0.0:
            raise ValueError(f"bandwidths must be positive, got {grid.min():.6g}.")
    generated, test, validation = _centre(generated, test, validation)
    best = int(_parzen_log_densities(generated, validation, grid).mean(axis=1).argmax())
    bandwidth = float(grid[best])
    if grid.shape[0] > 2 and bandwidth in (grid.min(), grid.max()):
        warnings.warn(
            f"bandwidths must surround the best one, got {bandwidth:.6g} at the border of "
            f"[{grid.min():.6g}, {grid.max():.6g}]: pass a wider grid, or scale the rows to the "
            "range the grid was made for.",
            UserWarning,
            stacklevel=2,
        )
    log_densities = _parzen_log_densities(generated, test, grid[best : best + 1])[0]
    return ParzenResult(
        log_likelihood=float(log_densities.mean()),
        # The protocol divides by n, not n - 1.
        standard_error=float(log_densities.std() / np.sqrt(test.shape[0])),
        bandwidth=bandwidth,
    )


def _kernel_sum(
    X: FloatArray, Y: FloatArray | None, kernel: Literal["imq", "rbf"], gamma: float
) -> float:
    """Sum of the kernel over all pairs of rows."""
    total = 0.0
    for _, chunk in _squared_distance_chunks(X, Y):
        if kernel == "rbf":
            chunk *= -gamma
            np.exp(chunk, out=chunk)
        else:
            chunk *= gamma
            chunk += 1.0
            np.reciprocal(chunk, out=chunk)
        total += float(chunk.sum())
    return total


def maximum_mean_discrepancy(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    kernel: Literal["imq", "rbf"] = "imq",
    gamma: float | None = None,
) -> float:
    r"""Squared maximum mean discrepancy between two sets of rows, without bias.

    .. math::

        \frac{1}{n (n - 1)} \sum_{i \neq j} k(x_i, x_j)
        + \frac{1}{m (m - 1)} \sum_{i \neq j} k(y_i, y_j)
        - \frac{2}{n m} \sum_{i, j} k(x_i, y_j)

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        Rows of one set, at least 2.
    Y : array-like of shape (n_samples_Y, n_features)
        Rows of the other set, at least 2.
    kernel : {"imq", "rbf"}, default="imq"
        Inverse multiquadric ``1 / (1 + gamma * ||x - y||^2)``, whose heavy tails still tell far
        rows apart, or Gaussian ``exp(-gamma * ||x - y||^2)``.
    gamma : float, default=None
        Inverse of a squared length, positive. None takes one over the mean squared distance
        between two rows of X and Y put together, so that the result does not change with the units.
        Give a number when results are to be compared with each other, and one several times larger
        than the default to see shapes much thinner than the whole: rings, tight clusters.

    Returns
    -------
    discrepancy : float
        About zero, and as often below as above it, where the distributions are the same; at most 2.

    Raises
    ------
    TypeError
        If `gamma` is not a number.
    ValueError
        If an array has fewer than 2 rows, the numbers of columns differ, `kernel` is unknown, or
        `gamma` is not positive and finite.

    Notes
    -----
    For rows of a normal distribution with standard deviation s, the default `gamma` turns "imq"
    into the kernel of the Wasserstein autoencoder, C / (C + ||x - y||^2) with
    C = 2 * n_features * s^2. Distances are computed in chunks of
    `sklearn.get_config()["working_memory"]`.

    References
    ----------
    A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf, A. Smola, "A Kernel Two-Sample Test", 2012
    (lemma 6), https://jmlr.org/papers/v13/gretton12a.html

    I. Tolstikhin, O. Bousquet, S. Gelly, B. Schölkopf, "Wasserstein Auto-Encoders", 2018,
    https://arxiv.org/abs/1711.01558

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.metrics import maximum_mean_discrepancy
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 500, 2))
    >>> abs(maximum_mean_discrepancy(X, Y)) < 0.01
    True
    >>> maximum_mean_discrepancy(X, Y + 1.0) > 0.1
    True
    """
    _check_option(kernel, "kernel", ("imq", "rbf"))
    way_out = "the unbiased estimate needs 2 rows; pass more"
    X = _check_rows(X, "X", min_samples=2, way_out=way_out)
    Y = _check_rows(Y, "Y", min_samples=2, way_out=way_out)
    _check_same_columns(X, "X", Y, "Y")
    X, Y = _centre(X, Y)
    if gamma is None:
        mean_squared_distance = 2.0 * np.vstack([X, Y]).var(axis=0, ddof=1).sum()
        # All rows equal: every kernel value is 1, whatever gamma.
        gamma = 1.0 / mean_squared_distance if mean_squared_distance > 0.0 else 1.0
    else:
        gamma = _check_positive(gamma, "gamma")
    n, m = X.shape[0], Y.shape[0]
    # k(x, x) = 1 for both kernels.
    within_X = (_kernel_sum(X, None, kernel, gamma) - n) / (n * (n - 1))
    within_Y = (_kernel_sum(Y, None, kernel, gamma) - m) / (m * (m - 1))
    between = _kernel_sum(X, Y, kernel, gamma) / (n * m)
    return float(within_X + within_Y - 2.0 * between)


def classifier_two_sample_score(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    classifier: ClassifierMixin | None = None,
    cv: int | BaseCrossValidator | Iterable[Any] = 5,
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """How well a fresh classifier tells X from Y: cross-validated area under the ROC curve.

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        Rows of one set, at least as many as there are folds.
    Y : array-like of shape (n_samples_Y, n_features)
        Rows of the other set, at least as many as there are folds. No row may be a copy of a row of
        X: the classifier would meet it in training under the other label, and score below 0.5.
    classifier : estimator, default=None
        A scikit-learn classifier, cloned before it is fitted. None is
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier`, which needs no scaling and sees
        rings and mixtures from a few hundred rows. Where the sets differ in the correlations of
        many columns, a scaled :class:`~sklearn.neural_network.MLPClassifier` sees more.
    cv : int, cross-validation splitter or iterable, default=5
        An int, at least 2, is the number of shuffled, stratified folds.
    random_state : int, RandomState instance or None, default=None
        Seeds the shuffled folds and the default classifier. An int repeats the result.

    Returns
    -------
    score : float
        Mean over the folds, between 0 and 1. About 0.5: indistinguishable to this classifier. 1:
        fully separated.

    Raises
    ------
    TypeError
        If `classifier` is not a classifier.
    ValueError
        If an array has too few rows, the numbers of columns differ, or `cv` is below 2.

    References
    ----------
    D. Lopez-Paz, M. Oquab, "Revisiting Classifier Two-Sample Tests", 2017,
    https://arxiv.org/abs/1610.06545

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.metrics import classifier_two_sample_score
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 2))
    >>> classifier_two_sample_score(X, Y + 10.0, random_state=0)
    1.0
    """
    rng = check_random_state(random_state)
    min_samples, way_out = 2, "pass more rows"
    if isinstance(cv, Integral):
        min_samples = _check_integer(cv, "cv", minimum=2)
        way_out = f"every fold needs a row of each set; pass more rows or lower cv={cv}"
    X = _check_rows(X, "X", min_samples=min_samples, way_out=way_out)
    Y = _check_rows(Y, "Y", min_samples=min_samples, way_out=way_out)
    _check_same_columns(X, "X", Y, "Y")
    rows = np.vstack([X, Y])
    is_from_Y = np.repeat([0, 1], [X.shape[0], Y.shape[0]])
    # Rows come sorted by set, and often by time or class within it: without a shuffle a fold is
    # not like the others.
    if isinstance(cv, Integral):
        splitter = StratifiedKFold(cv, shuffle=True, random_state=rng.randint(2**31 - 1))
    else:
        splitter = check_cv(cv, is_from_Y, classifier=True)
    if classifier is None:
        # Mean AUROC on ring against normal, 1000 rows each: 0.93; a regularised perceptron 0.85,
        # 30 neighbours 0.93; on 200 rows each 0.83, 0.62, 0.73. Logistic regression: 0.5.
        fresh = HistGradientBoostingClassifier(random_state=rng.randint(2**31 - 1))
    elif hasattr(classifier, "fit") and is_classifier(classifier):
        fresh = clone(classifier)
    else:
        raise TypeError(
            f"classifier must be a scikit-learn classifier, got {classifier!r}: pass an estimator "
            "with predict_proba or decision_function, or None."
        )
    scores = cross_val_score(
        fresh, rows, is_from_Y, cv=splitter, scoring="roc_auc", error_score="raise"
    )
    return float(scores.mean())


# Clusters -------------------------------------------------------------------------------------


def clustering_error(
    y_true: ArrayLike,
    labels: ArrayLike,
    *,
    rule: Literal["majority", "hungarian", "representative"] = "majority",
    probabilities: ArrayLike | None = None,
) -> float:
    """Share of rows whose cluster is named after another class.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes. Any value counts as one, also the -1 that stands for "unlabelled" elsewhere: leave
        such rows out.
    labels : array-like of shape (n_samples,)
        Clusters. With ``rule="representative"`` integers from 0 to n_clusters - 1 that number the
        columns of `probabilities`.
    rule : {"majority", "hungarian", "representative"}, default="majority"
        How a cluster gets its name:

        - "majority": after its most frequent class. Several clusters may share a class, so the
          error falls as clusters are added; it is one minus the purity.
        - "hungarian": one cluster per class, matched for the fewest errors. Rows of clusters left
          without a class are errors.
        - "representative": after the class of the one row that is most probable in the cluster
          (the first of several), as in the adversarial autoencoders paper. The paper picks that row
          in a validation set; here it comes from the rows that are scored.
    probabilities : array-like of shape (n_samples, n_clusters), default=None
        Probability of each cluster for the same rows. Needed by "representative" and not looked at
        by the other rules.

    Returns
    -------
    error : float
        Between 0 and 1. Errors under different rules or numbers of clusters are not comparable.

    Raises
    ------
    ValueError
        If the lengths differ, there are no rows, `rule` is unknown, or "representative" lacks
        probabilities for its labels.

    References
    ----------
    A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow, B. Frey, "Adversarial Autoencoders", 2015
    (section 6, the rule "representative"), https://arxiv.org/abs/1511.05644

    H. W. Kuhn, "The Hungarian method for the assignment problem", 1955,
    https://doi.org/10.1002/nav.3800020109

    Examples
    --------
    Two clusters for class "a": fine by majority, half lost when a class may have only one.

    >>> from sklearn_aae.metrics import clustering_error
    >>> y_true, labels = ["a", "a", "a", "a", "b", "b", "b", "b"], [0, 0, 1, 1, 2, 2, 2, 2]
    >>> clustering_error(y_true, labels)
    0.0
    >>> clustering_error(y_true, labels, rule="hungarian")
    0.25
    """
    _check_option(rule, "rule", ("majority", "hungarian", "representative"))
    y_true, labels = _check_labels(y_true, "y_true"), _check_labels(labels, "labels")
    check_consistent_length(y_true, labels)
    if rule == "representative":
        return _representative_error(y_true, labels, probabilities)
    counts = contingency_matrix(y_true, labels)
    if rule == "majority":
        n_correct = counts.max(axis=0).sum()
    else:
        n_correct = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return float(1.0 - n_correct / y_true.shape[0])


def _representative_error(
    y_true: NDArray[Any], labels: NDArray[Any], probabilities: ArrayLike | None
) -> float:
    if probabilities is None:
        raise ValueError(
            "rule='representative' needs probabilities of shape (n_samples, n_clusters), got None: "
            "pass the predict_proba of the clusterer, or use rule='majority'."
        )
    p = check_array(probabilities, dtype=np.float64, input_name="probabilities")
    check_consistent_length(y_true, p)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "rule='representative' needs integer labels that number the columns of probabilities, "
            f"got labels of dtype {labels.dtype}: pass the argmax of probabilities."
        )
    if labels.min() < 0 or labels.max() >= p.shape[1]:
        raise ValueError(
            f"labels must lie between 0 and {p.shape[1] - 1}, the columns of probabilities, got "
            f"values from {labels.min()} to {labels.max()}: pass the argmax of probabilities."
        )
    name_of_cluster = y_true[p.argmax(axis=0)]
    return float(np.mean(name_of_cluster[labels] != y_true))


# Outliers -------------------------------------------------------------------------------------


def _is_outlier(y_true: ArrayLike) -> NDArray[np.bool_]:
    """Check labels of an outlier detector and return where they say outlier."""
    y = _check_labels(y_true, "y")
    found = np.unique(y).tolist()
    if not set(found) <= {-1, 1}:
        raise ValueError(
            f"y must be -1 for outliers and +1 for inliers, got the labels {found[:5]}: where 1 "
            "marks outliers and 0 inliers, pass y = np.where(y == 1, -1, 1)."
        )
    if len(found) < 2:
        raise ValueError(
            "y must hold outliers (-1) and inliers (+1) to be scored, got only the label "
            f"{found[0]} in {y.shape[0]} rows: pass cv=StratifiedKFold(shuffle=True), because the "
            "folds of an outlier detector are neither stratified nor shuffled by default."
        )
    outlier: NDArray[np.bool_] = y == -1
    return outlier


def _outlier_roc_auc(
    y_true: ArrayLike, decision: FloatArray, sample_weight: ArrayLike | None = None
) -> float:
    """Scorer: area under the ROC curve with outliers as the positive class.

    Pass it as `scoring` or call it as ``outlier_roc_auc_scorer(estimator, X, y)``. The estimator
    needs a `decision_function` that is higher for more normal rows, as scikit-learn's outlier
    detectors have; y is -1 for outliers and +1 for inliers.

    Raises
    ------
    ValueError
        If y holds other labels, or only one of the two. A search catches errors of scorers and
        reports nan with a warning that shows them, unless given ``error_score="raise"``.

    References
    ----------
    T. Fawcett, "An introduction to ROC analysis", 2006,
    https://doi.org/10.1016/j.patrec.2005.10.010

    Examples
    --------
    The folds of an outlier detector are neither stratified nor shuffled by default: pass `cv`.

    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from sklearn.model_selection import GridSearchCV, StratifiedKFold
    >>> from sklearn_aae.metrics import outlier_roc_auc_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = np.r_[rng.normal(size=(60, 2)), rng.uniform(8, 9, size=(12, 2))]
    >>> y = np.repeat([1, -1], [60, 12])
    >>> search = GridSearchCV(
    ...     IsolationForest(n_estimators=10, random_state=0),
    ...     {"max_features": [1, 2]},
    ...     scoring=outlier_roc_auc_scorer,
    ...     cv=StratifiedKFold(3, shuffle=True, random_state=0),
    ... )
    >>> round(float(search.fit(X, y).best_score_), 1)
    1.0
    """
    return float(roc_auc_score(_is_outlier(y_true), -decision, sample_weight=sample_weight))


def _outlier_average_precision(
    y_true: ArrayLike, decision: FloatArray, sample_weight: ArrayLike | None = None
) -> float:
    """Scorer: average precision with outliers as the positive class.

    scikit-learn's own "average_precision" takes the inliers (+1) as positive, which is near 1 for
    any detector when outliers are rare. Here a detector that guesses scores the share of outliers.

    Pass it as `scoring` or call it as ``outlier_average_precision_scorer(estimator, X, y)``. The
    estimator needs a `decision_function` that is higher for more normal rows; y is -1 for outliers
    and +1 for inliers.

    Raises
    ------
    ValueError
        If y holds other labels, or only one of the two. A search catches errors of scorers and
        reports nan with a warning that shows them, unless given ``error_score="raise"``.

    References
    ----------
    J. Davis, M. Goadrich, "The relationship between Precision-Recall and ROC curves", 2006,
    https://doi.org/10.1145/1143844.1143874

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.covariance import EllipticEnvelope
    >>> from sklearn_aae.metrics import outlier_average_precision_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = np.r_[rng.normal(size=(60, 2)), rng.uniform(8, 9, size=(3, 2))]
    >>> y = np.repeat([1, -1], [60, 3])
    >>> detector = EllipticEnvelope(random_state=0).fit(X[:60])
    >>> outlier_average_precision_scorer(detector, X, y)
    1.0
    """
    outlier = _is_outlier(y_true)
    return float(average_precision_score(outlier, -decision, sample_weight=sample_weight))


outlier_roc_auc_scorer = make_scorer(_outlier_roc_auc, response_method="decision_function")
outlier_average_precision_scorer = make_scorer(
    _outlier_average_precision, response_method="decision_function"
)
# A scorer is an instance, which would otherwise show the text of scikit-learn's private class.
outlier_roc_auc_scorer.__doc__ = _outlier_roc_auc.__doc__
outlier_average_precision_scorer.__doc__ = _outlier_average_precision.__doc__

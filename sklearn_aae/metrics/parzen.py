"""The likelihood of rows under a window around each generated one."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from sklearn_aae.metrics.checks import (
    FloatArray,
    centre,
    check_rows,
    check_same_columns,
    squared_distance_chunks,
)

# The grid of the reference implementation (github.com/goodfeli/adversarial, parzen_ll.py), made for
# pixels in [0, 1].
_PARZEN_BANDWIDTHS = np.logspace(-1, 0, 10)


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
    for rows, chunk in squared_distance_chunks(X, X_generated):
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
    generated = check_rows(X_generated, "X_generated", min_samples=1, way_out="pass generated rows")
    test = check_rows(
        X_test, "X_test", min_samples=2, way_out="a standard error needs 2 rows; pass more"
    )
    validation = check_rows(
        X_validation,
        "X_validation",
        min_samples=1,
        way_out="hold out rows that choose the bandwidth",
    )
    check_same_columns(generated, "X_generated", test, "X_test")
    check_same_columns(generated, "X_generated", validation, "X_validation")
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
    generated, test, validation = centre(generated, test, validation)
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

"""How far reconstructions are from rows."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

from sklearn_aae.metrics.checks import FloatArray, check_option, check_rows

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
    check_option(norm, "norm", _RECONSTRUCTION_NORMS)
    check_option(multioutput, "multioutput", ("uniform_average", "raw_values"))
    way_out = "pass the rows that were encoded and the same rows decoded"
    original = check_rows(X, "X", min_samples=1, way_out=way_out)
    decoded = check_rows(X_reconstructed, "X_reconstructed", min_samples=1, way_out=way_out)
    if original.shape != decoded.shape:
        raise ValueError(
            "X and X_reconstructed must have the same shape, got "
            f"{original.shape} and {decoded.shape}: {way_out}."
        )
    error = _RECONSTRUCTION_NORMS[norm](
        original, decoded, multioutput=multioutput, sample_weight=sample_weight
    )
    return np.asarray(error) if multioutput == "raw_values" else float(error)

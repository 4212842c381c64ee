"""Scorers that choose among outlier detectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, make_scorer, roc_auc_score

from sklearn_aae.metrics.checks import FloatArray, check_labels


def _is_outlier(y_true: ArrayLike) -> NDArray[np.bool_]:
    """Check labels of an outlier detector and return where they say outlier."""
    y = check_labels(y_true, "y")
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

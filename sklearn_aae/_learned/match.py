"""How well codes match their prior, once the networks are trained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.inference import Inference
from sklearn_aae.callbacks import PriorMatch
from sklearn_aae.metrics import classifier_two_sample_score
from sklearn_aae.priors import draw

# The small classifier: of trees enough to see rings and petals, and no more.
_N_TREES = 30
# Folds, and codes without which there is nothing to learn from.
_N_FOLDS = 5
_MIN_CODES = 20
# Of a normal distribution.
_QUANTILE_95 = 1.645
# Means over folds scatter more than one statistic of as many rows, since folds share their training
# rows: by 1.29 (180 codes, 2 components) and 1.37 (400, 8) in 80 trials each.
_EXCESS = 1.35


def measure_prior_match(
    inference: Inference, prior: Any, X: np.ndarray | SelectedRows
) -> dict[str, float]:
    """Distance of the codes of rows from the prior, whether they can be told from it, and chance.

    Distances say how far codes would have to move, and miss what is fine; a classifier sees
    structure, and says nothing of how far off it is.
    """
    step = max(1, len(X) // PriorMatch.MAX_CODES)
    codes = torch.from_numpy(inference.encode(X[::step]))
    monitor = PriorMatch(prior)
    distance = monitor.measure(codes)
    auroc, auroc_quantile = told_apart(codes, prior)
    return {
        "distance": distance,
        "null": monitor.null_,
        "null_quantile": monitor.null_quantile_,
        "auroc": auroc,
        "auroc_quantile": auroc_quantile,
    }


def told_apart(codes: Tensor, prior: Any, seed: int = 0) -> tuple[float, float]:
    """How well a small classifier tells codes from as many draws of the prior, and chance.

    Returns
    -------
    auroc : float
        On rows that it was not trained on, by cross-validation; 0.5 for fewer than 20 codes.
    quantile : float
        What it is above in one case of 20 where the codes are draws of the prior themselves: by the
        variance of the Mann-Whitney statistic, (2n + 1) / 12n^2 for n codes, and what folds add.
    """
    n = len(codes)
    if n < _MIN_CODES:
        return 0.5, 1.0
    reference = draw(prior, n, torch.Generator().manual_seed(seed)).numpy()
    classifier = HistGradientBoostingClassifier(
        max_iter=_N_TREES, early_stopping=False, random_state=seed
    )
    auroc = classifier_two_sample_score(
        codes.numpy(), reference, classifier=classifier, cv=_N_FOLDS, random_state=seed
    )
    return auroc, 0.5 + _EXCESS * _QUANTILE_95 * math.sqrt((2 * n + 1) / (12 * n**2))

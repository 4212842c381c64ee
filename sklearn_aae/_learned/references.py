"""Which rows of the training set are kept, or looked at, once the networks are trained."""

from __future__ import annotations

import numpy as np

from sklearn_aae._learned.codes import MAX_CODES, CodeDensity, fit_code_density
from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.inference import Inference
from sklearn_aae._training.plan import Data, Plan


def counting_rows(plan: Plan, data: Data) -> np.ndarray:
    """Positions of the training rows of positive weight."""
    rows = np.arange(len(data.X)) if plan.training is None else plan.training
    return rows if data.sample_weight is None else rows[data.sample_weight[rows] > 0]


def at_most(n: int, rows: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
    """The given rows, or n of them drawn without replacement where there are more."""
    return rows if len(rows) <= n else random_state.choice(rows, n, replace=False)


def fit_codes(
    plan: Plan, data: Data, inference: Inference, random_state: np.random.RandomState
) -> CodeDensity:
    """Density of the codes of training rows."""
    encoded = at_most(MAX_CODES, counting_rows(plan, data), random_state)
    weights = None if data.sample_weight is None else data.sample_weight[encoded]
    codes = inference.encode(SelectedRows(data.X, encoded))
    return fit_code_density(codes, weights, random_state)

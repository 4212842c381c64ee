"""Which rows of the training set are kept, or looked at, once the networks are trained."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_aae._learned.codes import MAX_CODES, CodeDensity, fit_code_density
from sklearn_aae._learned.density import (
    MAX_REFERENCES,
    Density,
    fit_density,
    residual_inflation,
)
from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.inference import Inference
from sklearn_aae._training.plan import Data, Plan

# The threshold and p-values of more scores would be no surer.
MAX_SCORED = 100_000


def counting_rows(plan: Plan, data: Data) -> np.ndarray:
    """Positions of the training rows of positive weight."""
    rows = np.arange(len(data.X)) if plan.training is None else plan.training
    if data.sample_weight is None:
        return rows
    counting = rows[data.sample_weight[rows] > 0]
    return counting if len(counting) > 0 else np.flatnonzero(data.sample_weight)


class Sample(NamedTuple):
    """Positions of rows, and what they count for: positive, or None where all count alike."""

    rows: np.ndarray
    weights: np.ndarray | None


def sample_by_weight(
    n: int, rows: np.ndarray, data: Data, random_state: np.random.RandomState
) -> Sample:
    """The given rows with their weights, or, where there are more, n that are drawn by weight.

    Drawn at equal steps along the sum of weights, so that a row is drawn as often as its weight
    says, up to one; it counts for as many as it was drawn.
    """
    weights = None if data.sample_weight is None else data.sample_weight[rows]
    if weights is not None and (weights == weights[0]).all():
        weights = None
    if weights is None or len(rows) <= n:
        return Sample(at_most(n, rows, random_state), weights if len(rows) <= n else None)
    order = random_state.permutation(len(rows))
    upto = np.cumsum(weights[order])
    steps = (np.arange(n) + random_state.uniform()) * (upto[-1] / n)
    drawn = np.searchsorted(upto, steps, side="right").clip(max=len(rows) - 1)
    drawn, counts = np.unique(drawn, return_counts=True)
    return Sample(rows[order[drawn]], counts.astype(float))


def at_most(n: int, rows: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
    """The given rows, or n of them drawn without replacement where there are more."""
    return rows if len(rows) <= n else random_state.choice(rows, n, replace=False)


class Trained(NamedTuple):
    """What is known of rows that the networks were trained on.

    `references` are the positions of those that the density keeps, and `others` of the rest, whose
    squared residuals are to be seen `inflation` times larger.
    """

    references: np.ndarray
    others: np.ndarray
    inflation: float


def fit_rows(
    plan: Plan, data: Data, inference: Inference, random_state: np.random.RandomState
) -> tuple[Density, Trained]:
    """Density of training rows, and what is known of them."""
    trained = counting_rows(plan, data)
    kept = sample_by_weight(MAX_REFERENCES, trained, data, random_state)
    decoded, residual = inference.split_rows(SelectedRows(data.X, kept.rows))
    inflation = 1.0
    if plan.held_out is not None:
        _, of_held_out = inference.split_rows(plan.held_out[:MAX_REFERENCES])
        inflation = residual_inflation(residual, of_held_out)
    density = fit_density(
        decoded,
        residual,
        inference.autoencoder.n_components,
        weights=kept.weights,
        inflation=inflation,
        one_unit=plan.columns.one_unit,
    )
    return density, Trained(kept.rows, np.setdiff1d(trained, kept.rows), inflation)


def fit_codes(
    plan: Plan, data: Data, inference: Inference, random_state: np.random.RandomState
) -> CodeDensity:
    """Density of the codes of training rows."""
    encoded = sample_by_weight(MAX_CODES, counting_rows(plan, data), data, random_state)
    codes = inference.encode(SelectedRows(data.X, encoded.rows))
    return fit_code_density(codes, encoded.weights, random_state)

"""Which rows of the training set are kept, or looked at, once the networks are trained."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_aae._learned.codes import CodeDensity, fit_code_density
from sklearn_aae._learned.density import (
    N_REFERENCES,
    Density,
    fit_density,
    joined,
    residual_inflation,
    residual_scale,
)
from sklearn_aae._learned.groups import group_means, group_rows
from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.inference import Inference
from sklearn_aae._training.plan import Data, Plan

# Of rows that are looked at: 32 MiB, and as much again for their residuals.
_MAX_VALUES = 4_000_000
# Of rows that are kept. To compare a row with more would take far longer than the networks do.
_MAX_VALUES_KEPT = 400_000

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


class Keeping(NamedTuple):
    """What of training rows a model keeps: how many at most, and whether means of groups of them.

    Of codes it keeps ten times as many, or more: they take less memory, and the closer they lie,
    the better are draws.
    """

    n_references: int = N_REFERENCES
    means: bool = False
    n_looked_at: int = N_REFERENCES
    n_codes: int = 10 * N_REFERENCES


USUAL = Keeping()


def resolve_keeping(references: str, n_references: int | str, n_features: int) -> Keeping:
    """What is kept of rows of so many columns."""
    looked_at = max(1, min(N_REFERENCES, _MAX_VALUES // n_features))
    means = references == "means"
    if isinstance(n_references, str):
        n = max(1, min(N_REFERENCES, _MAX_VALUES_KEPT // n_features))
        return Keeping(n, means, looked_at, 10 * looked_at)
    # Fewer references are no reason to know less of the whole of the table.
    return Keeping(int(n_references), means, max(int(n_references), looked_at), 10 * n_references)


class Trained(NamedTuple):
    """What is known of rows that the networks were trained on.

    `rows` are the positions of all of them, and `references` of those that the density keeps.
    Squared residuals of the others are to be seen `inflation` times larger.
    """

    rows: np.ndarray
    references: np.ndarray
    inflation: float


def fit_rows(
    plan: Plan,
    data: Data,
    inference: Inference,
    random_state: np.random.RandomState,
    keeping: Keeping = USUAL,
) -> tuple[Density, Trained]:
    """Density of training rows, and what is known of them."""
    trained = counting_rows(plan, data)
    sample = sample_by_weight(keeping.n_looked_at, trained, data, random_state)
    decoded, residual = inference.split_rows(SelectedRows(data.X, sample.rows))
    inflation = 1.0
    if plan.held_out is not None:
        _, of_held_out = inference.split_rows(plan.held_out[: keeping.n_looked_at])
        inflation = residual_inflation(residual, of_held_out)
    n_components = inference.autoencoder.n_components
    references, kept, groups = sample.rows, None, None
    if keeping.means:
        rows = joined(decoded, residual, residual_scale(decoded.shape[1], n_components))
        groups = group_rows(rows, keeping.n_references, random_state)
        references = sample.rows[:0]
    elif len(sample.rows) > keeping.n_references:
        kept = at_most(keeping.n_references, np.arange(len(sample.rows)), random_state)
        references = sample.rows[kept]
    density = fit_density(
        decoded,
        residual,
        n_components,
        weights=sample.weights,
        inflation=inflation,
        one_unit=plan.columns.one_unit,
        kept=kept,
        groups=groups,
    )
    return density, Trained(trained, references, inflation)


def fit_codes(
    plan: Plan,
    data: Data,
    inference: Inference,
    random_state: np.random.RandomState,
    keeping: Keeping = USUAL,
) -> CodeDensity:
    """Density of the codes of training rows."""
    n_codes = keeping.n_codes
    encoded = sample_by_weight(n_codes, counting_rows(plan, data), data, random_state)
    codes, weights = inference.encode(SelectedRows(data.X, encoded.rows)), encoded.weights
    if keeping.means:
        groups = group_rows(codes, n_codes, random_state)
        codes, weights = group_means(codes, groups, weights), np.bincount(groups, weights)
    return fit_code_density(codes, weights, random_state)

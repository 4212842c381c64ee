"""What a training is to do, decided before it starts: parts, rows, and every "auto" resolved."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.columns import Columns
from sklearn_aae._rows.table import Table
from sklearn_aae._rows.tokens import Tokens
from sklearn_aae._training.critics import Critic
from sklearn_aae.modules import Autoencoder

# Steps of gradient descent for the square root of the number of columns, and their bounds: few
# columns are learned quickly, and a network that trains on brings itself to reconstruct outliers.
# Beyond the lower bound, no row is seen more than 60 times. Then bounds on all epochs.
_STEPS_PER_ROOT = 100
_MIN_STEPS, _MAX_STEPS = 300, 2500
_MAX_EPOCHS_FOR_ROOT = 60
_MIN_EPOCHS, _MAX_EPOCHS = 4, 600

# Where no outlier has to stay unlearned, training goes on until the game has settled: the class of
# digits could be read from 58 % of the styles after 540 steps, and from 9 % after 2,700.
_THOROUGH_STEPS = 3000
_MAX_THOROUGH_EPOCHS = 300
_MIN_BATCH_SIZE, _MAX_BATCH_SIZE = 32, 256

# Of fewer rows, a tenth is too few to measure anything and too many to do without.
_MIN_ROWS_TO_HOLD_OUT = 20
# And more than these measure nothing better.
_MAX_ROWS_TO_HOLD_OUT = 10_000


class Data(NamedTuple):
    """What a fit was given, once it is checked.

    Rows are as the networks see them, an ndarray, SparseRows, TableRows, TokenRows or, in chunks,
    ChunkedRows and, once they were looked at, Surveyed; `table` is None of a plain array, and
    `tokens` of what are no strings. `X_given` is X as callbacks of the user are shown it.
    """

    X: Any
    y: Any
    sample_weight: np.ndarray | None
    X_val: Any
    table: Table | None = None
    X_given: Any = None
    tokens: Tokens | None = None

    @property
    def has_gaps(self) -> bool:
        """Whether cells of rows are missing."""
        return self.table is not None and self.table.has_gaps


@dataclass(frozen=True)
class Parts:
    """In what the training of one estimator differs from that of another.

    Parameters
    ----------
    critics : tuple of Critic
        What is compared with what.
    structure : type of Autoencoder
        How encoder and decoder are joined.
    n_classes : int, default=0
        Classes of the networks.
    terms : tuple of callable, default=()
        What else the autoencoder minimises.
    labels : ndarray of int of shape (n_samples,), default=None
        Classes of the rows from 0, -1 for unlabelled; None where none are used.
    guide : callable, default=None
        What rows know of each other before the training: called with the training rows, it adds to
        them what terms need. What it returns, unless it is None, the estimator makes parts of.
    semi_supervised : bool, default=False
        Whether labelled rows are few: every batch then brings a draw of them, and those held out
        are others, if there are enough.
    holds_out : bool, default=True
        Whether rows are held out.
    thorough : bool, default=True
        Which budget ``max_iter="auto"`` has.
    n_steps : int, default=3000
        The budget of a thorough training, in gradient steps.
    attributes : mapping, default={}
        What the estimator knows of labels once they are encoded: fitted attributes by name.
    """

    critics: tuple[Critic, ...]
    structure: type[Autoencoder] = Autoencoder
    n_classes: int = 0
    terms: tuple[Any, ...] = ()
    labels: np.ndarray | None = None
    guide: Callable[..., Any] | None = None
    semi_supervised: bool = False
    holds_out: bool = True
    thorough: bool = True
    n_steps: int = _THOROUGH_STEPS
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A training, decided.

    Parameters
    ----------
    columns : Columns
        How rows are standardised.
    prior : object
        What codes are matched to, bound to their width.
    parts : Parts
        What the estimator hands over.
    training : ndarray of int or None
        Rows of X to train on; None for all.
    held_out : ndarray, SelectedRows or None
        Rows that are not trained on, in the units of X.
    watched : ndarray, SelectedRows or None
        Those of them that are looked at after every epoch: all or, to save time, none.
    watched_labels : ndarray of int or None
        Their classes.
    batch_size, n_epochs : int
        Of this training.
    steps_of_epoch : int or None
        After which an epoch ends, before all rows were seen; None for all.
    """

    columns: Columns
    prior: Any
    parts: Parts
    training: np.ndarray | None
    held_out: np.ndarray | SelectedRows | None
    watched: np.ndarray | SelectedRows | None
    watched_labels: np.ndarray | None
    batch_size: int
    n_epochs: int
    steps_of_epoch: int | None


def hold_out(
    data: Data,
    parts: Parts,
    validation_fraction: float,
    random_state: np.random.RandomState,
    *,
    required: bool,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Rows to train on and rows to hold out; (None, None) where all are trained on.

    Too few rows hold none out, unless it is required.
    """
    n = len(data.X)
    if not parts.holds_out:
        return None, None
    n_held_out = n_to_hold_out(n, validation_fraction, required=required)
    if n_held_out == 0:
        return None, None
    order = random_state.permutation(n)
    held_out = order[:n_held_out]
    if parts.semi_supervised and parts.labels is not None:
        unlabelled = np.flatnonzero(parts.labels < 0)
        if len(unlabelled) > n_held_out:
            held_out = random_state.choice(unlabelled, n_held_out, replace=False)
    held_out = np.sort(held_out)
    return np.delete(np.arange(n), held_out), held_out


def n_to_hold_out(n: int, validation_fraction: float, *, required: bool) -> int:
    """Number of rows to hold out of n; 0 of too few, unless it is required."""
    if n < _MIN_ROWS_TO_HOLD_OUT and not required:
        return 0
    n_held_out = min(max(1, round(validation_fraction * n)), _MAX_ROWS_TO_HOLD_OUT)
    if n - n_held_out < 1:
        raise ValueError(
            f"validation_fraction={validation_fraction} of {n} samples leaves no row to train on. "
            "Lower it or pass X_val."
        )
    return n_held_out


def resolve_n_components(
    n_components: int | str, n_features: int, n_varying: int | None = None
) -> int:
    """Size of the code; "auto" is about the square root of n_features, from 2 to 16.

    It is at most one less than the columns that vary, of which there are `n_varying`, and at least
    1: a code as wide as the data has nothing to compress, and constant columns are no room for it.
    """
    if n_components != "auto":
        return int(n_components)
    n_varying = n_features if n_varying is None else n_varying
    return max(1, min(max(2, round(math.sqrt(n_features))), 16, n_varying - 1))


def resolve_batch_size(batch_size: int | str, n_samples: int) -> int:
    """Rows in a batch, at most all; "auto" is an eighth of the rows, from 32 to 256."""
    if batch_size == "auto":
        batch_size = min(max(n_samples // 8, _MIN_BATCH_SIZE), _MAX_BATCH_SIZE)
    return min(int(batch_size), n_samples)


def resolve_n_iter_no_change(n_iter_no_change: int | str, n_epochs: int) -> int:
    """Epochs without improvement after which to stop; "auto" is a tenth of all, 1 at least."""
    return max(1, round(n_epochs / 10)) if n_iter_no_change == "auto" else int(n_iter_no_change)


def resolve_max_iter(
    max_iter: int | str,
    n_samples: int,
    batch_size: int,
    n_features: int,
    *,
    thorough: bool = False,
    thorough_steps: int = _THOROUGH_STEPS,
) -> int:
    """Number of epochs; "auto" turns a budget of gradient steps into epochs."""
    if max_iter != "auto":
        return int(max_iter)
    n_batches = -(-n_samples // batch_size)
    if thorough:
        return min(max(-(-thorough_steps // n_batches), _MIN_EPOCHS), _MAX_THOROUGH_EPOCHS)
    n_steps = _brief_steps(n_batches, n_features)
    return min(max(-(-n_steps // n_batches), _MIN_EPOCHS), _MAX_EPOCHS)


def resolve_steps_of_epoch(
    max_iter: int | str,
    n_samples: int,
    batch_size: int,
    n_features: int,
    *,
    thorough: bool = False,
    thorough_steps: int = _THOROUGH_STEPS,
) -> int | None:
    """Steps after which "auto" ends an epoch, before all rows were seen; None where it does not.

    A few passes over many rows are more steps than the budget has.
    """
    n_batches = -(-n_samples // batch_size)
    n_steps = thorough_steps if thorough else _brief_steps(n_batches, n_features)
    if max_iter != "auto" or _MIN_EPOCHS * n_batches <= n_steps:
        return None
    return -(-n_steps // _MIN_EPOCHS)


def _brief_steps(n_batches: int, n_features: int) -> int:
    """Budget of gradient steps that leave outliers unlearned."""
    wanted = round(_STEPS_PER_ROOT * math.sqrt(n_features))
    return max(min(wanted, _MAX_STEPS, _MAX_EPOCHS_FOR_ROOT * n_batches), _MIN_STEPS)

"""Run a training that is planned: the net, its rows, its callbacks, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from skorch.history import History

from sklearn_aae._rows.batches import Rows
from sklearn_aae._rows.chunked import Surveyed
from sklearn_aae._rows.sources import is_sparse
from sklearn_aae._rows.streaming import StreamedRows
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.networks import seeded_global_generator
from sklearn_aae._training.plan import Data, Plan


def training_rows(plan: Plan, data: Data, net: AdversarialNet) -> tuple[Rows | StreamedRows, Any]:
    """The rows to train on as batches, with all that the losses ask of them.

    And what the guide of the parts tells of the rows; None where there is no guide, or it tells
    only the rows.
    """
    parts, columns = plan.parts, plan.columns
    targets: dict[str, np.ndarray] = {} if parts.labels is None else {"y": parts.labels}
    if data.sample_weight is not None:
        # Mean 1: weights change what counts and not how much everything counts.
        weight = data.sample_weight / data.sample_weight.mean()
        targets["sample_weight"] = weight.astype(np.float32)
    # Nothing to squash is the usual case, and the squashing of wide rows takes time.
    furthest = float(torch.maximum(-net.module_.lower, net.module_.upper).max())
    chosen = {
        name: values if plan.training is None else values[plan.training]
        for name, values in targets.items()
    }
    knee = columns.knee if furthest > columns.knee else math.inf
    device = torch.device(net.device)
    if isinstance(data.X, Surveyed):
        scaling = (columns.center, columns.scale)
        return StreamedRows(data.X, *scaling, device=device, knee=knee, targets=targets), None
    labels, labelled = chosen.get("y"), None
    if parts.semi_supervised and labels is not None and (labels < 0).any():
        labelled = np.flatnonzero(labels >= 0)
    rows = Rows(
        data.X,
        columns.center,
        columns.scale,
        device=device,
        knee=knee,
        selected=plan.training,
        targets=targets,
        labelled=labelled,
    )
    told = None
    if parts.guide is not None:
        weight = chosen.get("sample_weight")
        told = parts.guide(rows, labels, weight, net.seed, bool(net.history))
    return rows, told


def watched_rows(plan: Plan, device: str) -> Rows | None:
    """The rows to look at after every epoch, None where there are none to look at."""
    if plan.watched is None:
        return None
    columns, X = plan.columns, plan.watched
    return Rows(
        X if is_sparse(X) else X[:],
        columns.center,
        columns.scale,
        device=torch.device(device),
        knee=columns.knee,
        targets={} if plan.watched_labels is None else {"y": plan.watched_labels},
    )


def train(
    net: AdversarialNet,
    rows: Rows | StreamedRows,
    watched: Rows | None,
    callbacks: Sequence[Any],
    n_epochs: int,
    steps_of_epoch: int | None = None,
) -> None:
    """Train a net for a number of epochs; what came of it is in its history and weights.

    Parameters
    ----------
    net : AdversarialNet
        Trained in place. In eval mode afterwards, with whole epochs in its history.
    rows : Rows or StreamedRows
        Training rows.
    watched : Rows or None
        Held-out rows that are looked at after every epoch.
    callbacks : sequence of skorch callbacks
        In the order in which they are told.
    n_epochs : int
        Of this training.
    steps_of_epoch : int, default=None
        After which an epoch ends, before all rows were seen; None for all.
    """
    net.scale_learning_rates(1.0)
    net.callbacks = [*callbacks]
    net._initialize_callbacks()
    if watched is not None:
        net.train_split = lambda dataset, y=None, **_: (dataset, watched)
    net.max_epochs = n_epochs
    net.iterator_train__most = steps_of_epoch
    with (
        seeded_global_generator(net.seeds_global_generator, net.seed + len(net.history)),
        net.compiled_networks(rows),
    ):
        try:
            net.partial_fit(rows)
        finally:
            net.train_split = net.iterator_train__most = None
    settle(net)


def settle(net: AdversarialNet) -> None:
    """Eval mode, and no epoch in the history that was not trained to its end."""
    net._set_training(False)
    del net.history[len([row for row in net.history if "train_loss" in row]) :]


def losses_of(history: History) -> dict[str, list[float]]:
    """Losses by name, one value for each epoch; NaN for epochs that have none."""
    hidden = ("batches", "epoch", "dur")
    names = [
        name
        for name in dict.fromkeys(name for row in history for name in row)
        if name not in hidden and not name.endswith(("_best", "_batch_count"))
    ]
    return {name: [float(row.get(name, math.nan)) for row in history] for name in names}

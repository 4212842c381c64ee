"""The stages of `fit`: columns, plan, training, what is learned after it, attributes.

Read down the page: each stage takes what the one before it has made, and nothing goes back.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state

from sklearn_aae._compat import _check_sample_weight
from sklearn_aae._estimators.outcome import (
    advice_on_divergence,
    advice_on_memory,
    check_reconstructions,
    report_end,
    restored_on_error,
    warn_of_problems,
)
from sklearn_aae._estimators.reading import naming, read, read_to_fit
from sklearn_aae._estimators.streams import (
    check_no_new_gaps,
    look_at_chunks,
    open_chunks,
    sample_of,
    values_of_sample,
)
from sklearn_aae._rows.batches import Rows
from sklearn_aae._rows.chunked import ChunkedRows, Surveyed
from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.columns import Columns, check_domain
from sklearn_aae._rows.group import ALONE, Group
from sklearn_aae._rows.stores import is_chunked
from sklearn_aae._rows.streaming import StreamedRows
from sklearn_aae._training.acceleration import check_precision
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.networks import (
    check_networks,
    resolve_device,
    seeded_global_generator,
)
from sklearn_aae._training.plan import (
    Data,
    Parts,
    Plan,
    hold_out,
    resolve_batch_size,
    resolve_max_iter,
    resolve_n_iter_no_change,
    resolve_steps_of_epoch,
)
from sklearn_aae._training.terms import Classification, last_start
from sklearn_aae._training.train import losses_of, settle, train, training_rows, watched_rows
from sklearn_aae.callbacks import (
    AdversarialTraining,
    EarlyStopping,
    LastGoodWeights,
    LearningRateDecay,
    PriorMatch,
    Progress,
)
from sklearn_aae.callbacks.checkpoint import check_resumable, split_checkpoints
from sklearn_aae.callbacks.held_out_labels import HeldOutLabels
from sklearn_aae.callbacks.monitors import ScikitLearnCallbacks
from sklearn_aae.priors import bind_prior


def fit_estimator(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    X_val: Any = None,
    *,
    continued: bool,
    single_pass: bool = False,
    group: Group = ALONE,
    watchers: Sequence[Any] = (),
) -> None:
    """Check what is given, go through the stages, and keep what they have made.

    Parameters
    ----------
    estimator : estimator
    X, y, sample_weight, X_val : array-like
        As its `fit` takes them.
    continued : bool
        Whether its networks are trained on.
    single_pass : bool, default=False
        Whether for one epoch only.
    group : Group, default=ALONE
        Who trains together; of several, X is in chunks, and those of all are the rows.
    watchers : sequence of skorch callbacks, default=()
        Told after all others.
    """
    with restored_on_error(estimator):
        _, checkpoints = split_checkpoints(estimator.callbacks)
        if checkpoints:
            check_resumable(estimator.random_state, single_pass=single_pass)
        data = estimator._checked(X, y, sample_weight, X_val, group, reset=not continued)
        batch_size = resolve_batch_size(estimator.batch_size, len(data.X))
        with advice_on_memory(batch_size, estimator):
            _go_through_stages(estimator, data, continued, single_pass, watchers)
        if not estimator.net_.interrupted_:
            for checkpoint in checkpoints:
                checkpoint.complete()


def _go_through_stages(
    estimator: Any, data: Data, continued: bool, single_pass: bool, watchers: Sequence[Any]
) -> None:
    """From checked data to fitted attributes."""
    device = resolve_device(estimator.device)
    check_precision(estimator.precision, device)
    random_state = local_random_state(estimator.random_state)
    # Drawn also where no network is built: a warm start then holds the same rows out.
    seed = int(random_state.randint(2**31 - 1))
    # To look at rows after every epoch takes time, so it is done where asked for.
    watching = estimator.early_stopping or data.X_val is not None
    if isinstance(data.X, ChunkedRows):
        data = look_at_chunks(
            estimator, data, random_state, reset=not continued, divided=not single_pass
        )

    if continued:
        # A failure must leave the networks as they were, so a copy of them is trained.
        prior, net = estimator.prior_, copy.deepcopy(estimator.net_)
        k = net.module_.n_components
        parts = estimator._parts(data, prior, k, net)
    else:
        k = estimator._width_of_code(data)
        prior = bind_prior(estimator.prior, k)
        parts = estimator._parts(data, prior, k, None)
    # First of all: rows that are held out tell nothing to what comes, as new ones do not.
    division = _divided(estimator, data, parts, random_state, single_pass)
    sample = sample_of(data)
    if continued:
        columns = estimator._columns
        _set_options(estimator, net, parts)
    else:
        columns, null_deviance = estimator._fit_columns(data, division.training)
        with seeded_global_generator(_has_custom_network(estimator), seed):
            networks = estimator._make_networks(sample, parts, k, division.training, seed)
            row = columns.standardized(sample.X[:1]).float()
            check_networks(networks[0], networks[1], parts.critics, row)
        net = _net(estimator, networks, columns, null_deviance, parts, device, seed)
    net.module_.extend_range(*columns.standardized_range(data.X, division.training))
    plan = _plan(estimator, data, columns, prior, parts, division, single_pass, watching)
    rows, told = training_rows(plan, data, net)
    if told is not None:
        parts = estimator._informed(parts, told)
        _set_options(estimator, net, parts)

    def attributes(net: AdversarialNet, draws: np.random.RandomState) -> dict[str, Any]:
        """All that a fit leaves on the estimator, with the networks as they are."""
        inference = estimator._inference_with(columns, net)
        known = {
            "net_": net,
            "prior_": prior,
            "n_components_": k,
            "n_iter_": len(net.history),
            "history_": losses_of(net.history),
            "_columns": columns,
            **estimator._known_of(data),
            **parts.attributes,
        }
        return known | estimator._learn(plan, sample, net, inference, draws)

    def snapshot() -> dict[str, Any]:
        moment = copy.deepcopy(net)
        settle(moment)
        state = {n: v for n, v in vars(estimator).items() if n not in estimator.get_params(False)}
        return state | attributes(moment, copy.deepcopy(random_state))

    _train(estimator, plan, data, net, rows, single_pass, snapshot, watchers)
    inference = estimator._inference_with(columns, net)
    advice = advice_on_divergence(net, standardize=estimator.standardize)
    labels = values_of_sample(data, parts.labels)
    check_reconstructions(inference, sample.X, labels, advice)
    vars(estimator).update(attributes(net, random_state))
    warn_of_problems(
        net,
        inference,
        prior,
        estimator.prior_match_,
        float(estimator.adversarial_weight),
        estimator.history_,
        sample.X,
    )


def checked_rows(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    X_val: Any,
    group: Group,
    *,
    reset: bool,
) -> Data:
    """Rows of a table that a fit is given, and what comes with them, checked."""
    table, X_given = None if reset else vars(estimator).get("_table"), X
    if is_chunked(X) and estimator._takes_chunks:
        X, table = open_chunks(estimator, X, table, group, reset=reset)
    else:
        if reset:
            given, table = read_to_fit(estimator, X)
        else:
            given = read(estimator, X, table, min_samples=2)
            check_no_new_gaps("X", given.missing is not None, table)
        if isinstance(given.rows, np.ndarray) and table is None:
            X_given = given.rows
        X = given.rows
    sample_weight = checked_weight(sample_weight, X)
    if not isinstance(X, ChunkedRows):  # these are looked at once, later
        check_domain(estimator.likelihood, "X", X, table)
    if X_val is not None:
        with naming("X_val"):
            given = read(estimator, X_val, table)
        check_no_new_gaps("X_val", given.missing is not None, table)
        X_val = given.rows
        check_domain(estimator.likelihood, "X_val", X_val, table)
    return Data(X, y, sample_weight, X_val, table, X_given)


def checked_weight(sample_weight: Any, X: Any) -> np.ndarray | None:
    """Weights of the rows of X as an array, None where there are none."""
    if sample_weight is None:
        return None
    with naming("sample_weight"):
        sample_weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
    if not sample_weight.any():  # scikit-learn checks it from 1.9 on
        raise ValueError(
            "sample_weight: all weights are zero, so that no row would count. Leave it out, or "
            "give some rows a positive weight."
        )
    # Only ratios count; a power of two is exact, and no sum of them overflows.
    return np.ldexp(sample_weight, -np.frexp(sample_weight.max())[1])


def _net(
    estimator: Any,
    networks: tuple[Any, Any],
    columns: Columns,
    null_deviance: float,
    parts: Parts,
    device: torch.device,
    seed: int,
) -> AdversarialNet:
    """Networks and optimisers, before any training."""
    autoencoder, discriminators = networks
    decay = estimator.weight_decay
    options = {"weight_decay": decay} if decay else {}
    net = AdversarialNet(
        autoencoder,
        columns.likelihood.to(device, torch.float32),
        game=AdversarialTraining(parts.critics),
        discriminators=discriminators,
        null_deviance=null_deviance,
        noise=float(estimator.noise),
        lr=float(estimator.lr),
        discriminator_lr=_discriminator_lr(estimator),
        optimizer=estimator.optimizer,
        optimizer_options=options,
        device=str(device),
        seed=seed,
        verbose=0,
    ).initialize()
    _set_options(estimator, net, parts)
    return net


def _set_options(estimator: Any, net: AdversarialNet, parts: Parts) -> None:
    """Apply what may change between two fits that continue each other."""
    net.lr, net.discriminator_lr = float(estimator.lr), _discriminator_lr(estimator)
    net.noise, net.precision = float(estimator.noise), estimator.precision
    net.game.critics, net.terms = parts.critics, parts.terms
    net.compiles_networks = bool(estimator.compile)
    net.seeds_global_generator = _has_custom_network(estimator)


def _has_custom_network(estimator: Any) -> bool:
    networks = (estimator.encoder, estimator.decoder, estimator.discriminator)
    return any(network is not None for network in networks)


def _discriminator_lr(estimator: Any) -> float:
    # A faster discriminator tracks the encoder (Heusel et al., 2017).
    rate = estimator.discriminator_lr
    return float(2 * estimator.lr if rate is None else rate)


class _Division(NamedTuple):
    """Rows to train on, None for all; held-out rows, and their labels."""

    training: np.ndarray | None
    held_out: np.ndarray | SelectedRows | None
    labels: np.ndarray | None


def _divided(
    estimator: Any,
    data: Data,
    parts: Parts,
    random_state: np.random.RandomState,
    single_pass: bool,
) -> _Division:
    """Which rows are trained on, and which are held out."""
    if data.X_val is not None or single_pass or isinstance(data.X, Surveyed):
        return _Division(None, data.X_val, None)
    training, validation = hold_out(
        data,
        parts,
        estimator.validation_fraction,
        random_state,
        required=estimator.early_stopping,
    )
    if validation is None:
        return _Division(training, None, None)
    labels = None if parts.labels is None else parts.labels[validation]
    return _Division(training, SelectedRows(data.X, validation), labels)


def _plan(
    estimator: Any,
    data: Data,
    columns: Columns,
    prior: Any,
    parts: Parts,
    division: _Division,
    single_pass: bool,
    watching: bool,
) -> Plan:
    """How the rows are trained on, and for how long."""
    n, d = len(data.X) if division.training is None else len(division.training), data.X.shape[1]
    batch_size = resolve_batch_size(estimator.batch_size, n)
    n_epochs, steps_of_epoch = 1, None
    if not single_pass:
        given = (estimator.max_iter, n, batch_size, d)
        budget: dict[str, Any] = {"thorough": parts.thorough, "thorough_steps": parts.n_steps}
        n_epochs = resolve_max_iter(*given, **budget)
        steps_of_epoch = resolve_steps_of_epoch(*given, **budget)
    return Plan(
        columns=columns,
        prior=prior,
        parts=parts,
        training=division.training,
        held_out=division.held_out,
        watched=division.held_out if watching else None,
        watched_labels=division.labels,
        batch_size=batch_size,
        n_epochs=n_epochs,
        steps_of_epoch=steps_of_epoch,
    )


def _train(
    estimator: Any,
    plan: Plan,
    data: Data,
    net: AdversarialNet,
    rows: Rows | StreamedRows,
    single_pass: bool,
    snapshot: Callable[[], dict[str, Any]],
    watchers: Sequence[Any],
) -> None:
    """Train the net, and tell the callbacks of scikit-learn and the user how it went."""
    told = {"X": data.X_given, "y": data.y, "metadata": {}}
    context = estimator._init_callback_context(max_subtasks=plan.n_epochs)
    context.call_on_fit_task_begin(estimator=estimator, **told)
    net.batch_size = plan.batch_size
    net.group = data.X.group if isinstance(data.X, Surveyed) else ALONE
    watched = watched_rows(plan, net.device)

    monitor = PriorMatch(plan.prior) if estimator.adversarial_weight > 0 else None
    callbacks: list[Any] = [LastGoodWeights()]
    if not single_pass:
        callbacks.append(LearningRateDecay(plan.n_epochs))
    if watched is not None and monitor is not None:
        callbacks.append(monitor)
    if watched is not None and estimator.early_stopping:
        callbacks += _stopping(estimator, plan, net, monitor)
    if estimator.verbose:
        callbacks.append(Progress(plan.n_epochs))
    callbacks.append(ScikitLearnCallbacks(estimator, context, told, snapshot))
    # Checkpoints come last: they hold what the others did at the end of an epoch.
    others, checkpoints = split_checkpoints(estimator.callbacks)
    n_planned = len(net.history) + plan.n_epochs
    callbacks += [*others, *checkpoints, *watchers]
    train(net, rows, watched, callbacks, plan.n_epochs, plan.steps_of_epoch)
    report_end(net, n_planned, standardize=estimator.standardize)
    context.call_on_fit_task_end(estimator=estimator, **told, reconstruction_attributes=snapshot)
    # What refers to the data goes with the training.
    net.group = ALONE
    net.callbacks = estimator.callbacks
    net.callbacks_ = [
        (name, c)
        for name, c in net.callbacks_
        if not isinstance(c, ScikitLearnCallbacks) and c not in watchers
    ]


def _stopping(
    estimator: Any, plan: Plan, net: AdversarialNet, monitor: PriorMatch | None
) -> list[Any]:
    """Callbacks that end a training early: by held-out labels, or once all terms have begun."""
    patience = resolve_n_iter_no_change(estimator.n_iter_no_change, plan.n_epochs)
    terms = [term for term in net.terms if isinstance(term, Classification)]
    if terms and plan.watched_labels is not None and (plan.watched_labels >= 0).any():
        labels = HeldOutLabels(terms[0], plan.parts.n_classes)
        return [labels, EarlyStopping(patience, estimator.tol, monitor, labels)]
    return [EarlyStopping(patience, estimator.tol, monitor, start=last_start(net.terms))]


def local_random_state(random_state: Any) -> np.random.RandomState:
    """As scikit-learn resolves it, but None is fresh entropy instead of NumPy's global state."""
    if random_state is None:
        return np.random.RandomState(np.random.MT19937(np.random.SeedSequence()))
    return check_random_state(random_state)

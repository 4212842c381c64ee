"""Parameters, validation, arrays to tensors and back, seeding and state of all estimators."""

from __future__ import annotations

import copy
import math
import numbers
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from sklearn_aae._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _check_sample_weight,
    output_frame,
)
from sklearn_aae._learned.neighbors import nearest_rows
from sklearn_aae._rows.chunks import SelectedRows, apply_in_chunks, in_dtype
from sklearn_aae._rows.likelihoods import LIKELIHOODS, make_likelihood
from sklearn_aae._rows.scaling import KNEE, chunk_size, column_scaling, squashed, value_range
from sklearn_aae._training.acceleration import PRECISIONS, check_precision
from sklearn_aae._training.critics import ADVERSARIAL_LOSSES, Critic
from sklearn_aae._training.diagnostics import n_distinct_rows, training_problems
from sklearn_aae._training.net import AdversarialNet, Rows
from sklearn_aae._training.networks import (
    check_networks,
    make_networks,
    resolve_batch_size,
    resolve_device,
    resolve_max_iter,
    resolve_n_components,
    seeded_global_generator,
)
from sklearn_aae.callbacks import (
    AdversarialTraining,
    EarlyStopping,
    LastGoodWeights,
    LearningRateDecay,
    PriorMatch,
    Progress,
    ScikitLearnCallbacks,
)
from sklearn_aae.callbacks.checkpoint import split_checkpoints
from sklearn_aae.modules import ACTIVATIONS, Autoencoder
from sklearn_aae.priors import PRIORS, bind_prior, draw

__all__ = [
    "NON_NEGATIVE",
    "POSITIVE",
    "BaseAdversarialAutoencoder",
    "check_n_samples",
    "local_random_state",
]

# What enters the training has to be a number in float32, also when it is doubled.
NON_NEGATIVE = Interval(numbers.Real, 0, 1e38, closed="both")
POSITIVE = Interval(numbers.Real, 0, 1e38, closed="right")

_VERSION = version("sklearn-aae")


# Of fewer rows, a tenth is too few to measure anything and too many to do without.
_MIN_ROWS_TO_HOLD_OUT = 20
# And more than these measure nothing better.
_MAX_ROWS_TO_HOLD_OUT = 10_000
# Rows that tell whether a training ended in weights of any use.
_N_RECONSTRUCTED = 100


class BaseAdversarialAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What the estimators share: they differ by their critics and their manners.

    A subclass defines `__init__` with its own parameters, and of the hooks below those in which it
    differs. The base stays small: mathematics is in the modules below it.
    """

    net_: AdversarialNet
    _structure: ClassVar[type[Autoencoder]] = Autoencoder
    _thorough: ClassVar[bool] = True  # what max_iter="auto" spends

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [StrOptions({"auto"}), Interval(numbers.Integral, 1, None, closed="left")],
        "hidden_layer_sizes": [StrOptions({"auto"}), "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "encoder": [None, callable],
        "decoder": [None, callable],
        "discriminator": [None, callable],
        "image_shape": [None, "array-like"],
        "posterior": [StrOptions({"deterministic", "gaussian", "implicit"})],
        "prior": [StrOptions(set(PRIORS)), HasMethods("sample")],
        "likelihood": [StrOptions(set(LIKELIHOODS))],
        "adversarial_weight": [NON_NEGATIVE],
        "adversarial_loss": [StrOptions(set(ADVERSARIAL_LOSSES))],
        "gradient_penalty": [NON_NEGATIVE],
        "instance_noise": [NON_NEGATIVE],
        "noise": [NON_NEGATIVE],
        "standardize": ["boolean"],
        "lr": [POSITIVE],
        "discriminator_lr": [None, POSITIVE],
        "weight_decay": [NON_NEGATIVE],
        "optimizer": [callable],
        "batch_size": [StrOptions({"auto"}), Interval(numbers.Integral, 1, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(numbers.Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(numbers.Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(numbers.Integral, 1, None, closed="left")],
        "tol": [Interval(numbers.Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [None, "array-like"],
        "device": [str, torch.device],
        "precision": [StrOptions(set(PRECISIONS))],
        "compile": ["boolean"],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        n_components: int | str,
        hidden_layer_sizes: Any,
        activation: str,
        encoder: Any,
        decoder: Any,
        discriminator: Any,
        image_shape: Any,
        posterior: str,
        prior: Any,
        likelihood: str,
        adversarial_weight: float,
        adversarial_loss: str,
        gradient_penalty: float,
        instance_noise: float,
        noise: float,
        standardize: bool,
        lr: float,
        discriminator_lr: float | None,
        weight_decay: float,
        optimizer: Any,
        batch_size: int | str,
        max_iter: int | str,
        early_stopping: bool,
        validation_fraction: float,
        n_iter_no_change: int,
        tol: float,
        warm_start: bool,
        callbacks: Any,
        device: Any,
        precision: str,
        compile: bool,
        verbose: int,
        random_state: Any,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.encoder = encoder
        self.decoder = decoder
        self.discriminator = discriminator
        self.image_shape = image_shape
        self.posterior = posterior
        self.prior = prior
        self.likelihood = likelihood
        self.adversarial_weight = adversarial_weight
        self.adversarial_loss = adversarial_loss
        self.gradient_penalty = gradient_penalty
        self.instance_noise = instance_noise
        self.noise = noise
        self.standardize = standardize
        self.lr = lr
        self.discriminator_lr = discriminator_lr
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.precision = precision
        self.compile = compile
        self.verbose = verbose
        self.random_state = random_state

    # Fitting.

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any = None,
        *,
        n_epochs: int | None = None,
        continued: bool = False,
    ) -> None:
        """Validate, build or continue the networks, train, and learn what comes after."""
        with _restored_on_error(self), _advice_on_memory(self):
            _, checkpoints = split_checkpoints(self.callbacks)
            if checkpoints:
                self._check_resumable(single_pass=n_epochs is not None)
            X = self._validated(X, ensure_min_samples=2, reset=not continued)
            if sample_weight is not None:
                sample_weight = _check_sample_weight(
                    sample_weight, X, dtype=np.float64, ensure_non_negative=True
                )
                if not sample_weight.any():  # scikit-learn checks it from 1.9 on
                    raise ValueError(
                        "sample_weight: all weights are zero, so that no row would count. Leave it "
                        "out, or give some rows a positive weight."
                    )
                # Only ratios count; a power of two is exact, and no sum of them overflows.
                sample_weight = np.ldexp(sample_weight, -np.frexp(sample_weight.max())[1])
            device = resolve_device(self.device)
            check_precision(self.precision, device)
            random_state = local_random_state(self.random_state)
            # Drawn also where no network is built: a warm start then holds the same rows out.
            seed = int(random_state.randint(2**31 - 1))
            self._check_domain("X", X)
            if X_val is not None:
                X_val = self._validated(X_val)
                self._check_domain("X_val", X_val)
            if not continued:
                varies = self._scale_columns(X, sample_weight)
                self._bind_prior(X)
            labels = self._encode_labels(y, X, sample_weight, continued)
            if not continued:
                unit = self._null_deviance(X, sample_weight) if varies else 1.0
                self._build(X, unit, device, seed, labels)
            else:
                # A failure must leave the networks as they were, so a copy of them is trained.
                self.net_ = copy.deepcopy(self.net_)
                self._set_training_options(labels)
            lowest, highest = (torch.from_numpy(v) for v in self._standardized_range(X))
            self.net_.module_.extend_range(lowest, highest)
            targets = {} if labels is None else {"y": labels}
            if sample_weight is not None:
                # Mean 1: weights change what counts and not how much everything counts.
                weight = sample_weight / sample_weight.mean()
                targets["sample_weight"] = weight.astype(np.float32)
            training, held_out_labels = None, None
            held_out: np.ndarray | SelectedRows | None = X_val
            if X_val is None and n_epochs is None:
                training, validation = self._split(len(X), random_state, labels)
                if validation is not None:
                    held_out = SelectedRows(X, validation)
                    held_out_labels = None if labels is None else labels[validation]
            # Looking at held-out rows after every epoch takes time, so it is done where asked for.
            watched = held_out if self.early_stopping or X_val is not None else None

            def complete(model: BaseAdversarialAutoencoder, draws: np.random.RandomState) -> None:
                model._map_codes(X, sample_weight, training)
                model._measure_prior_match(X if held_out is None else held_out)
                model._fit_after_training(X, sample_weight, training, held_out, draws)

            def snapshot() -> dict[str, Any]:
                model = self._copy_of_the_moment()
                complete(model, copy.deepcopy(random_state))
                return {n: v for n, v in vars(model).items() if n not in self.get_params(False)}

            told = {"X": X, "y": y, "metadata": {}}
            self._train(X, targets, training, watched, held_out_labels, n_epochs, told, snapshot)
            self._check_reconstructions(X, labels)
            complete(self, random_state)
            self._diagnose(X)
            if not self.net_.interrupted_:
                for checkpoint in checkpoints:
                    checkpoint.complete()

    def _check_resumable(self, single_pass: bool) -> None:
        """Whether a training with checkpoints, started again, can be the same one."""
        if single_pass:
            raise ValueError(
                "callbacks: Checkpoint resumes fit; partial_fit makes a single pass, which has "
                "nothing to resume. Save the estimator between calls of partial_fit instead."
            )
        if self.random_state is None:
            raise ValueError(
                "callbacks: Checkpoint needs random_state as an int, got random_state=None: a "
                "training with other random numbers cannot go on from it. Set random_state=0."
            )

    # Hooks, each called before any training but the last.

    def _check_parameters(self) -> None:
        """What an estimator has to check once the prior is bound."""

    def _encode_labels(
        self, y: Any, X: np.ndarray, sample_weight: np.ndarray | None, continued: bool
    ) -> np.ndarray | None:
        """Classes of the rows as ints from 0, -1 for unlabelled; None where none are used."""
        return None

    @property
    def _n_classes(self) -> int:
        """Classes of the networks, once labels are encoded."""
        return 0

    def _make_critics(self, labels: np.ndarray | None) -> tuple[Critic, ...]:
        """What is compared with what."""
        return (self._style_critic(),)

    def _make_terms(self, labels: np.ndarray | None) -> tuple[Any, ...]:
        """What else the autoencoder minimises."""
        return ()

    def _rows_with_labels(self, labels: np.ndarray | None) -> np.ndarray | None:
        """Of the training rows with these labels, those that each batch draws from as well."""
        return None

    def _compare_rows(
        self, rows: Rows, labels: np.ndarray | None, sample_weight: np.ndarray | None
    ) -> None:
        """Add to the training rows what terms know from comparing them, such as neighbours."""

    def _nearest_rows(
        self, rows: Rows, n_neighbors: int, sample_weight: np.ndarray | None
    ) -> np.ndarray | None:
        """Nearest training rows of each, at most half as many as a class has on average."""

        def standardized(positions: np.ndarray) -> np.ndarray:
            x, _ = rows[torch.from_numpy(positions).to(rows.index_device)]
            return x.cpu().numpy()

        # Rows of weight zero teach nothing, as neighbours neither.
        counting = None if sample_weight is None else np.flatnonzero(sample_weight)
        n = len(rows) if counting is None else len(counting)
        # Where all rows are neighbours of each other, they are of one class.
        n_neighbors = max(1, min(int(n_neighbors), n // (2 * self._n_classes)))
        return nearest_rows(standardized, len(rows), n_neighbors, self.net_.seed, counting)

    def _map_codes(
        self, X: np.ndarray, sample_weight: np.ndarray | None, training: np.ndarray | None
    ) -> None:
        """What an estimator does with the codes of the trained networks, rows `training` of X."""

    def _fit_after_training(
        self,
        X: np.ndarray,
        sample_weight: np.ndarray | None,
        training: np.ndarray | None,
        held_out: np.ndarray | SelectedRows | None,
        random_state: np.random.RandomState,
    ) -> None:
        """What an estimator learns once the networks are trained, on rows `training` of X."""

    def _scale_columns(self, X: np.ndarray, sample_weight: np.ndarray | None) -> bool:
        """Learn the scaling; whether any column varies by more than rounding."""
        columns = column_scaling(X, sample_weight)
        center, scale, knee = columns.mean, columns.scale, KNEE
        if not self.standardize:
            center, scale, knee = np.zeros_like(center), np.ones_like(scale), math.inf
        self._center, self._scale, self._knee, self._dtype = center, scale, knee, X.dtype
        self._likelihood = make_likelihood(self.likelihood, center, scale, columns.mean, knee)
        return not columns.constant.all()

    def _standardized_range(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lowest, highest = X.min(axis=0).astype(float), X.max(axis=0).astype(float)
        return self._standardized(lowest).numpy(), self._standardized(highest).numpy()

    def _check_domain(self, name: str, X: np.ndarray) -> None:
        problem = LIKELIHOODS[self.likelihood].check_domain(*value_range(X))
        if problem is not None:
            raise ValueError(f'likelihood="{self.likelihood}": {name} {problem}')

    # Networks.

    def _bind_prior(self, X: np.ndarray) -> None:
        k = resolve_n_components(self.n_components, X.shape[1])
        if self.n_components == "auto":
            # Constant columns are no room for a code.
            k = min(k, max(1, int(np.count_nonzero(X.min(axis=0) < X.max(axis=0))) - 1))
        self.n_components_ = k
        self.prior_ = bind_prior(self.prior, self.n_components_)
        self._check_parameters()

    def _build(
        self,
        X: np.ndarray,
        null_deviance: float,
        device: torch.device,
        seed: int,
        labels: np.ndarray | None,
    ) -> None:
        critics = self._make_critics(labels)
        with seeded_global_generator(self._has_custom_network(), seed):
            autoencoder, discriminators = make_networks(
                X.shape[1],
                self.n_components_,
                critics,
                encoder=self.encoder,
                decoder=self.decoder,
                discriminator=self.discriminator,
                hidden_layer_sizes=self.hidden_layer_sizes,
                activation=self.activation,
                image_shape=self.image_shape,
                posterior=self.posterior,
                seed=seed,
                structure=self._structure,
                n_classes=self._n_classes,
            )
            x = self._standardized(X[:1]).float()
            check_networks(autoencoder, discriminators, critics, x)
        likelihood = self._likelihood.to(device, torch.float32)
        self.net_ = AdversarialNet(
            autoencoder,
            likelihood,
            game=AdversarialTraining(critics),
            discriminators=discriminators,
            null_deviance=null_deviance,
            noise=float(self.noise),
            lr=float(self.lr),
            discriminator_lr=self._discriminator_lr(),
            optimizer=self.optimizer,
            optimizer_options={"weight_decay": self.weight_decay} if self.weight_decay else {},
            device=str(device),
            seed=seed,
            terms=self._make_terms(labels),
            precision=self.precision,
            verbose=0,
        ).initialize()

    def _discriminator_lr(self) -> float:
        # A faster discriminator tracks the encoder (Heusel et al., 2017).
        return float(2 * self.lr if self.discriminator_lr is None else self.discriminator_lr)

    def _set_training_options(self, labels: np.ndarray | None) -> None:
        """Apply what may change between two fits that continue each other."""
        net = self.net_
        net.lr, net.discriminator_lr = float(self.lr), self._discriminator_lr()
        net.noise, net.precision = float(self.noise), self.precision
        net.game.critics = self._make_critics(labels)
        net.terms = self._make_terms(labels)

    def _style_critic(self, n_classes: int = 0, *, prior_sees_labels: bool = True) -> Critic:
        """The critic of the codes, or of their style part, which sees n_classes classes."""
        return Critic(
            "prior",
            self.prior_,
            float(self.adversarial_weight),
            loss=self.adversarial_loss,
            gradient_penalty=float(self.gradient_penalty),
            instance_noise=float(self.instance_noise),
            n_classes=n_classes,
            prior_sees_labels=prior_sees_labels,
            columns=(0, self.n_components_),
        )

    def _has_custom_network(self) -> bool:
        return any(v is not None for v in (self.encoder, self.decoder, self.discriminator))

    def _null_deviance(self, X: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """Mean deviance of predicting the column means, on up to 10,000 evenly spaced rows."""
        step = max(1, len(X) // 10_000)
        sample = X[::step]
        likelihood = self._likelihood
        output = likelihood.constant_output()
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        weight = weight[::step]
        total = 0.0
        deviance = np.empty(len(sample))
        for rows in gen_batches(len(sample), max(1, chunk_size(X.shape[1]) // 8)):
            x = self._standardized(sample[rows].astype(np.float64))
            deviance[rows] = likelihood.deviance(output.expand_as(x), x).mean(dim=1).numpy()
        for rows in gen_batches(len(sample), chunk_size(X.shape[1])):
            total += float(deviance[rows] @ weight[rows])
        mean = total / weight.sum() if weight.any() else 0.0
        # Nothing varies: any unit serves.
        return mean if mean > 0 else 1.0

    # Training.

    def _train(
        self,
        X: np.ndarray,
        targets: dict[str, np.ndarray],
        training: np.ndarray | None,
        X_held_out: np.ndarray | SelectedRows | None,
        held_out_labels: np.ndarray | None,
        n_epochs: int | None,
        told: dict[str, Any],
        snapshot: Callable[[], dict[str, Any]],
    ) -> None:
        net = self.net_
        device = torch.device(net.device)
        held_out = None
        if X_held_out is not None:
            held_out_targets = {} if held_out_labels is None else {"y": held_out_labels}
            held_out = self._rows(X_held_out[:], device, targets=held_out_targets)
        module = net.module_
        # Nothing to squash is the usual case, and the squashing of wide rows takes time.
        furthest = float(torch.maximum(-module.lower, module.upper).max())
        knee = self._knee if furthest > self._knee else math.inf
        labels = targets.get("y")
        rows = self._rows(
            X,
            device,
            knee=knee,
            selected=training,
            targets=targets,
            labelled=self._rows_with_labels(
                labels if labels is None or training is None else labels[training]
            ),
        )
        weight = targets.get("sample_weight")
        if training is not None:
            labels = None if labels is None else labels[training]
            weight = None if weight is None else weight[training]
        self._compare_rows(rows, labels, weight)
        single_pass = n_epochs is not None
        net.batch_size = resolve_batch_size(self.batch_size, len(rows))
        if n_epochs is None:
            n_epochs = resolve_max_iter(
                self.max_iter, len(rows), net.batch_size, X.shape[1], thorough=self._thorough
            )
        context = self._init_callback_context(max_subtasks=n_epochs)
        context.call_on_fit_task_begin(estimator=self, **told)

        monitor = PriorMatch(self.prior_) if self.adversarial_weight > 0 else None
        guard = LastGoodWeights()
        own: list[Any] = [guard]
        net.scale_learning_rates(1.0)
        if not single_pass:
            own.append(LearningRateDecay(n_epochs))
        if held_out is not None and monitor is not None:
            own.append(monitor)
        if held_out is not None and self.early_stopping:
            own.append(EarlyStopping(self.n_iter_no_change, self.tol, monitor))
        if self.verbose:
            own.append(Progress(n_epochs))
        own.append(ScikitLearnCallbacks(self, context, told, snapshot))
        # Checkpoints come last: they hold what the others did at the end of an epoch.
        others, checkpoints = split_checkpoints(self.callbacks)
        net.callbacks = [*own, *others, *checkpoints]
        net._initialize_callbacks()
        if held_out is not None:
            net.train_split = lambda dataset, y=None, **_: (dataset, held_out)
        n_before = len(net.history)
        net.max_epochs = n_epochs
        net.seeds_global_generator = self._has_custom_network()
        net.compiles_networks = bool(self.compile)
        with (
            seeded_global_generator(net.seeds_global_generator, net.seed + n_before),
            net.compiled_networks(rows),
        ):
            try:
                net.partial_fit(rows)
            finally:
                net.train_split = None
        net._set_training(False)
        self._record_history()
        if net.diverged_ is not None:
            self._report_divergence(guard)
        if net.interrupted_:
            warnings.warn(
                f"Training interrupted after {self.n_iter_} of {n_before + n_epochs} epochs: the "
                "estimator is fitted with the weights of that moment.",
                ConvergenceWarning,
                stacklevel=5,
            )
        context.call_on_fit_task_end(estimator=self, **told, reconstruction_attributes=snapshot)
        # What refers to the data goes with the training.
        net.callbacks = self.callbacks
        net.callbacks_ = [
            (name, c) for name, c in net.callbacks_ if not isinstance(c, ScikitLearnCallbacks)
        ]

    def _advice_on_divergence(self) -> str:
        net = self.net_
        advice = f"Lower lr (now {net.lr:g}) or discriminator_lr (now {net.discriminator_lr:g}), "
        if not self.standardize:
            advice += "set standardize=True, "
        return advice + "or look for extreme values in X."

    def _check_reconstructions(self, X: np.ndarray, labels: np.ndarray | None) -> None:
        """Refuse weights that are finite and useless: what the last step does is in no loss."""
        step = max(1, len(X) // _N_RECONSTRUCTED)
        x = self._standardized(X[::step]).to(self.net_.device)
        y = None if labels is None else torch.as_tensor(labels[::step], device=x.device)
        autoencoder = self._autoencoder(X.dtype)
        with torch.inference_mode():
            decoded = self._mean(autoencoder.decode(autoencoder.encode(x), y))
        if not bool(torch.isfinite(decoded).all()):
            raise ValueError(
                "Reconstructions of rows of X are infinite after the last epoch: the training "
                f"diverged. {self._advice_on_divergence()}"
            )

    def _report_divergence(self, guard: LastGoodWeights) -> None:
        net, advice = self.net_, self._advice_on_divergence()
        if guard.restored_epoch_ is None:
            raise ValueError(f"{net.diverged_}: the training diverged. {advice}")
        best = max(
            (c.best_epoch_ for _, c in net.callbacks_ if isinstance(c, EarlyStopping)), default=0
        )
        warnings.warn(
            f"{net.diverged_}: the training diverged. The estimator is fitted with the weights of "
            f"epoch {best or guard.restored_epoch_}, before that. {advice}",
            ConvergenceWarning,
            stacklevel=6,
        )

    def _rows(self, X: np.ndarray, device: torch.device, **options: Any) -> Rows:
        options = {"knee": self._knee} | options
        return Rows(X, self._center, self._scale, device=device, **options)

    def _split(
        self, n: int, random_state: np.random.RandomState, labels: np.ndarray | None
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Rows to train on and rows to hold out; (None, None) where there are too few to hold."""
        if n < _MIN_ROWS_TO_HOLD_OUT and not self.early_stopping:
            return None, None
        n_held_out = min(max(1, round(self.validation_fraction * n)), _MAX_ROWS_TO_HOLD_OUT)
        if n - n_held_out < 1:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {n} samples leaves no row to "
                "train on. Lower it or pass X_val."
            )
        order = random_state.permutation(n)
        return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])

    def _measure_prior_match(self, X: np.ndarray | SelectedRows) -> None:
        step = max(1, len(X) // PriorMatch.MAX_CODES)
        monitor = PriorMatch(self.prior_)
        distance = monitor.measure(torch.from_numpy(self._encode(X[::step])))
        self.prior_match_ = {
            "distance": distance,
            "null": monitor.null_,
            "null_quantile": monitor.null_quantile_,
        }

    def _before_the_flow(self, X: np.ndarray, like: np.ndarray) -> np.ndarray:
        """Codes before a flow, which gives each direction a spread, a dead one too.

        In the units of codes behind it: a flow makes up for any scale.
        """
        autoencoder, k = self._autoencoder(X.dtype), self.n_components_

        def unmapped(x: Tensor) -> Tensor:
            return autoencoder.encode(x, bounded=False, mapped=False)[:, :k]

        codes = self._in_chunks(unmapped, X, k, self._bounded)
        spread, wanted = (np.sqrt(z.var(axis=0, dtype=np.float64).mean()) for z in (codes, like))
        return codes * (wanted / spread) if spread > 0 else codes

    def _diagnose(self, X: np.ndarray) -> None:
        """Warn of a training that ended, and not well."""
        net = self.net_
        if net.diverged_ is not None or net.interrupted_:
            return  # that has been said
        rows = X[:: max(1, len(X) // PriorMatch.MAX_CODES)]
        codes = self._encode(rows)
        if net.module_.flow is not None:
            codes = self._before_the_flow(rows, like=codes)
        for problem in training_problems(
            codes,
            self.prior_,
            n_distinct_rows(rows),
            n_steps=net.game.n_steps_,
            adversarial_weight=float(self.adversarial_weight),
            adversarial_loss=self.adversarial_loss,
            noise=net.noise,
            lr=net.lr,
            discriminator_lr=net.discriminator_lr,
            n_components=self.n_components_,
            accuracy=self.history_.get("discriminator_accuracy", []),
            prior_match=self.prior_match_,
            reconstruction_loss=self.history_["reconstruction_loss"][-1],
        ):
            warnings.warn(problem, ConvergenceWarning, stacklevel=5)

    def _record_history(self) -> None:
        complete = [row for row in self.net_.history if "train_loss" in row]
        del self.net_.history[len(complete) :]
        hidden = ("batches", "epoch", "dur")
        names = [
            name
            for name in dict.fromkeys(name for row in complete for name in row)
            if name not in hidden and not name.endswith(("_best", "_batch_count"))
        ]
        self.history_ = {
            name: [float(row.get(name, math.nan)) for row in complete] for name in names
        }
        self.n_iter_ = len(complete)

    def _copy_of_the_moment(self) -> BaseAdversarialAutoencoder:
        """A copy with the networks as they are, which training on does not change."""
        model = copy.copy(self)
        model.net_ = copy.deepcopy(self.net_)
        model.net_._set_training(False)
        model._record_history()
        return model

    # Use.

    def transform(self, X: Any) -> Any:
        """Encode X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Codes, deterministic for every posterior, in the dtype of X.
        """
        check_is_fitted(self)
        X = self._validated(X)
        return self._encode(X)

    def reconstruct(self, X: Any) -> Any:
        """Encode and decode: X without what the code has no room for, such as noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        X_reconstructed : ndarray or frame of shape (n_samples, n_features)
            In the units and dtype of X; a frame under `set_output`.
        """
        check_is_fitted(self)
        validated = self._validated(X)

        def reconstruction(autoencoder: Autoencoder, codes: Tensor) -> Tensor:
            return self._mean(autoencoder.decode(codes))

        decoded = self._on_codes(reconstruction, validated, self.n_features_in_)
        return output_frame(self, decoded, X)

    @property
    def encoder_(self) -> nn.Module:
        """Encoder network in eval mode, on the device of `net_`."""
        return self.net_.module_.encoder

    @property
    def decoder_(self) -> nn.Module:
        """Decoder network in eval mode, on the device of `net_`."""
        return self.net_.module_.decoder

    @property
    def discriminator_(self) -> nn.Module:
        """Discriminator of codes in eval mode, on the device of `net_`."""
        return self.net_.discriminators_["prior"]

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    # Arrays to tensors and back.

    def _validated(self, X: Any, **options: Any) -> np.ndarray:
        options = {"reset": False} | options
        # scikit-learn adds all values up to see whether they are finite. The sum may not be.
        with np.errstate(over="ignore", invalid="ignore"):
            return validate_data(self, X, dtype=[np.float64, np.float32], **options)

    def _validated_codes(self, Z: Any) -> np.ndarray:
        codes = check_array(Z, dtype=[np.float64, np.float32])
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"Z has {codes.shape[1]} columns, but {type(self).__name__} decodes codes of "
                f"n_components_={self.n_components_} columns, as transform returns them."
            )
        return codes

    def _draw_styles(self, n_samples: int, random_state: np.random.RandomState) -> np.ndarray:
        check_n_samples(n_samples)
        seed = int(random_state.randint(2**31 - 1))
        z = draw(self.prior_, int(n_samples), torch.Generator().manual_seed(seed))
        return z.numpy().astype(self._dtype)

    def _autoencoder(self, dtype: np.dtype) -> Autoencoder:
        """The networks in the precision of the data; the fitted ones are never changed."""
        return in_dtype(self.net_.module_, dtype)

    def _encode(self, X: np.ndarray | SelectedRows) -> np.ndarray:
        def style(_: Autoencoder, codes: Tensor) -> Tensor:
            return codes[:, : self.n_components_]

        return self._on_codes(style, X, self.n_components_)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        """What the decoder makes of its inputs, in the units of X."""
        decoder = in_dtype(self.net_.module_.decoder, codes.dtype)

        def decode(z: Tensor) -> Tensor:
            return self._mean(decoder(z))

        return self._in_chunks(decode, codes, self.n_features_in_, torch.tensor)

    def _mean(self, output: Tensor) -> Tensor:
        return self._likelihood.to(output.device, output.dtype).mean(output)

    def _standardized(self, chunk: np.ndarray) -> Tensor:
        return squashed(self._scaled(chunk), self._knee)

    def _bounded(self, chunk: np.ndarray) -> Tensor:
        """Standardised rows with values beyond the training range moved to its border."""
        x = self._scaled(chunk)
        module = self.net_.module_
        lower, upper = (bound.to("cpu", x.dtype) for bound in (module.lower, module.upper))
        # Where the range ends before the knee, nothing that is squashed stays where it is.
        if max(-lower.min(), upper.max()) > self._knee:
            x = squashed(x, self._knee)
        return x.clamp_(lower, upper)

    def _scaled(self, chunk: np.ndarray) -> Tensor:
        # torch, which subtracts faster than NumPy, does not take arrays of every layout, and warns
        # of those that it must not write to.
        # A single row counts as contiguous whatever its stride.
        plain = chunk.flags.c_contiguous and chunk.flags.writeable and min(chunk.strides) >= 0
        x = torch.from_numpy(chunk if plain else chunk.copy())
        center, scale = (
            torch.from_numpy(v.astype(chunk.dtype)) for v in (self._center, self._scale)
        )
        # In place: to write a new array takes as long as the division. What overflows is far
        # enough: it is squashed or moved to the border.
        return x.sub(center).div_(scale)

    def _on_rows(
        self,
        function: Callable[[Tensor], Tensor],
        X: np.ndarray | SelectedRows,
        width: int | None,
    ) -> np.ndarray:
        """Apply a function of standardised rows to X, chunk by chunk."""
        return self._in_chunks(function, X, width, self._standardized)

    def _on_codes(
        self,
        function: Callable[[Autoencoder, Tensor], Tensor],
        X: np.ndarray | SelectedRows,
        width: int,
    ) -> np.ndarray:
        """Apply a function of the networks and the codes of rows to X, chunk by chunk."""
        autoencoder = self._autoencoder(X.dtype)

        def of_rows(x: Tensor) -> Tensor:
            return function(autoencoder, autoencoder.encode(x, bounded=False))

        return self._in_chunks(of_rows, X, width, self._bounded)

    def _in_chunks(
        self,
        function: Callable[[Tensor], Tensor],
        array: np.ndarray | SelectedRows,
        width: int | None,
        to_tensor: Callable[[np.ndarray], Tensor],
    ) -> np.ndarray:
        """Apply a function to rows; (n, width) in the dtype of `array`, or (n,) in float64."""
        return apply_in_chunks(
            function,
            array,
            width,
            to_tensor,
            self.net_.module_,
            torch.device(self.net_.device),
            verbose=bool(self.verbose),
        )

    # State.

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of nested objects as ``<parameter>__<name>``.

        Parameters
        ----------
        **params : dict
            New values. With one of the prior, such as `prior__scale`, a prior that is given by name
            becomes the object that the name stands for.

        Returns
        -------
        self : estimator
        """
        prior = params.get("prior", self.prior)
        of_the_prior = any(name.startswith("prior__") for name in params)
        if of_the_prior and isinstance(prior, str) and prior in PRIORS:
            params["prior"] = PRIORS[prior]()
        return super().set_params(**params)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        if "net_" in state:
            state["_sklearn_aae_version"] = _VERSION
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        written_by = state.pop("_sklearn_aae_version", _VERSION)
        if written_by != _VERSION:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=_VERSION,
                    original_sklearn_version=written_by,
                ),
                stacklevel=2,
            )
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@contextmanager
def _restored_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as it was if the block fails: no half-fitted state."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


@contextmanager
def _advice_on_memory(estimator: BaseEstimator) -> Iterator[None]:
    """Let errors of exhausted memory say which parameters to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On the CPU, torch raises RuntimeError for this as for anything else.
        signs = ("can't allocate memory", "not enough memory", "out of memory")
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not any(
            sign in str(error) for sign in signs
        ):
            raise
        net = getattr(estimator, "net_", None)
        batch_size = estimator.batch_size if net is None else net.batch_size
        raise MemoryError(
            f"Out of memory in fit: {error}. Lower batch_size (now {batch_size}) or "
            f"hidden_layer_sizes (now {estimator.hidden_layer_sizes!r}), or train on chunks of X "
            "with partial_fit. The estimator is as it was before."
        ) from error


def check_n_samples(n_samples: Any) -> None:
    if not isinstance(n_samples, numbers.Integral) or n_samples < 1:
        raise ValueError(f"n_samples must be an int of at least 1, got {n_samples!r}.")


def local_random_state(random_state: Any) -> np.random.RandomState:
    """As scikit-learn resolves it, but None is fresh entropy instead of NumPy's global state."""
    if random_state is None:
        return np.random.RandomState(np.random.MT19937(np.random.SeedSequence()))
    return check_random_state(random_state)

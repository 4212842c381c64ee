"""The skorch net: networks, optimisers, and one training step."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring
from skorch.history import History
from skorch.utils import TeeGenerator
from torch import Tensor, nn

from sklearn_aae._rows.batches import BatchIterator
from sklearn_aae._rows.group import ALONE, Group
from sklearn_aae._training.acceleration import autocast, compiled
from sklearn_aae._training.corruption import corrupted, hides_cells
from sklearn_aae._training.critics import weighted_mean
from sklearn_aae._training.gradients import clear_gradients, gradients
from sklearn_aae._training.pickling import (
    freeze,
    optimizer_state,
    restore_optimizer,
    restored_generator,
    thaw,
)
from sklearn_aae._training.terms import Batch

# What a net is described by, of its attributes.
PLAIN = (
    *("null_deviance", "noise", "lr", "discriminator_lr", "optimizer", "optimizer_options"),
    *("seed", "batch_size"),
)
OPTIMIZERS = ("optimizer", "discriminator_optimizer")

# The norm of the gradient is taken in the first of so many steps: in each, it was 3 % of a step of
# small networks, by the number of tensors, and of large ones, by their size.
_NORM_INTERVAL = 4


class TrainingStopped(Exception):  # noqa: N818  # an event, like StopIteration
    """Raised by a callback at the end of an epoch to end the training in good order."""


class TrainingDiverged(Exception):  # noqa: N818  # an event, too
    """Raised by a callback at the end of an epoch whose losses are of no use; says which."""


class AdversarialNet(NeuralNet):
    """Networks and optimisers of an adversarial autoencoder, managed by skorch.

    The module is the autoencoder, the criterion a likelihood. The game is played by the callback
    `AdversarialTraining`, which the net asks for its losses in each step.

    Parameters
    ----------
    module : Autoencoder
        Trained in place: pass a copy of what has to stay as it is.
    criterion : Likelihood
        Float32, on the device.
    game : AdversarialTraining
        Owner of the critics.
    discriminators : nn.ModuleDict
        One discriminator for each critic, by name.
    null_deviance : float
        Mean deviance of the column means, the unit of the reconstruction loss.
    noise : float
        Standard deviation of the input corruption, in standardised units.
    discriminator_lr : float
        Learning rate of the discriminators.
    optimizer_options : dict
        Further arguments of the optimiser class, for both optimisers.
    seed : int
        Seed of batch order, noise and prior draws.
    terms : sequence of callable, default=()
        What else the autoencoder minimises: objects with `name`, `weight` and a call
        ``term(net, batch)`` that returns a loss.
    precision : {"float32", "bf16"}, default="float32"
        Of forward passes in training.
    **kwargs
        Parameters of `skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: nn.Module,
        criterion: Any,
        *,
        game: Any,
        discriminators: nn.ModuleDict,
        null_deviance: float,
        noise: float,
        discriminator_lr: float,
        optimizer_options: dict[str, Any],
        seed: int,
        terms: Sequence[Any] = (),
        precision: str = "float32",
        **kwargs: Any,
    ) -> None:
        self.game = game
        self.discriminators = discriminators
        self.null_deviance = null_deviance
        self.noise = noise
        self.discriminator_lr = discriminator_lr
        self.optimizer_options = optimizer_options
        self.seed = seed
        self.terms = terms
        self.precision = precision
        # Who trains together; of a training, not of a net.
        self.group: Group = ALONE
        self.compiles_networks = False
        # Whether the networks draw from torch's global generator, which the caller then seeds.
        self.seeds_global_generator = False
        # Epochs of this training that a checkpoint stands for.
        self.n_epochs_resumed_ = 0
        self.interrupted_ = False
        self.diverged_: str | None = None
        # Share of the training that is done.
        self.progress_ = 0.0
        super().__init__(
            module,
            criterion,
            iterator_train=BatchIterator,
            iterator_valid=BatchIterator,
            train_split=None,
            **kwargs,
        )

    # What skorch initialises.

    def initialize(self) -> AdversarialNet:
        # The order of rows is drawn on the CPU, everything else where the networks are.
        self.order_generator_ = torch.Generator().manual_seed(self.seed)
        self.generator_ = torch.Generator(self.device).manual_seed(self.seed)
        self.iterator_train__shuffle = self.order_generator_
        return super().initialize()

    def initialize_module(self) -> AdversarialNet:
        self.module_ = self.module
        self.discriminators_ = self.discriminators
        return self

    def initialize_criterion(self) -> AdversarialNet:
        self.criterion_ = self.criterion
        return self

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> AdversarialNet:
        self.optimizer_ = self._make_optimizer(self.module_, self.lr)
        # Less momentum for the player whose target moves (Mescheder et al., 2018, use 0;
        # DCGAN and most after it 0.5).
        self.discriminator_optimizer_ = self._make_optimizer(
            self.discriminators_, self.discriminator_lr, betas=(0.5, 0.99)
        )
        return self

    def _make_optimizer(
        self, module: nn.Module, lr: float, **preferred: Any
    ) -> torch.optim.Optimizer:
        parameters = [p for p in module.parameters() if p.requires_grad]
        known = _parameters_of(self.optimizer)
        if "fused" in known and all(p.is_floating_point() for p in parameters):
            preferred["fused"] = True
        options = {name: value for name, value in preferred.items() if name in known}
        options.update(self.optimizer_options)
        try:
            optimizer = self.optimizer(parameters, lr=lr, **options)
            # One step on weights of its own: some want a closure, or gradients of another kind.
            weight = nn.Parameter(torch.zeros(2, 2, device=self.device))
            weight.grad = torch.zeros_like(weight)
            self.optimizer([weight], lr=lr, **options).step()
        except Exception as error:  # a class from elsewhere may raise anything
            raise ValueError(
                f"optimizer={self.optimizer!r} cannot train the networks: {error}. Use a class of "
                "torch.optim that takes all parameters of a network and steps without a closure, "
                "such as torch.optim.Adam."
            ) from error
        return optimizer

    def scale_learning_rates(self, factor: float) -> None:
        """Set all learning rates to a multiple of their initial values."""
        for optimizer, lr in (
            (self.optimizer_, self.lr),
            (self.discriminator_optimizer_, self.discriminator_lr),
        ):
            for group in optimizer.param_groups:
                group["lr"] = lr * factor

    def get_default_callbacks(self) -> list[tuple[str, Any]]:
        return [
            ("epoch_timer", EpochTimer()),
            ("game", self.game),
            ("train_loss", PassthroughScoring("train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring("valid_loss")),
        ]

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        # skorch's callbacks end the training by raising KeyboardInterrupt from on_epoch_end itself.
        # Ctrl-C, which deserves a warning, comes from wherever it hits.
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as interrupt:
            *_, (frame, _) = traceback.walk_tb(interrupt.__traceback__)
            ours = frame.f_globals["__name__"].startswith("sklearn_aae.")
            if frame.f_code.co_name == "on_epoch_end" and not ours:
                raise TrainingStopped from None
            raise

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.n_epochs_resumed_ = 0
        self.interrupted_ = False
        self.diverged_ = None

    def fit_loop(
        self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any
    ) -> AdversarialNet:
        epochs = self.max_epochs if epochs is None else epochs
        try:
            super().fit_loop(X, y, epochs - self.n_epochs_resumed_, **kwargs)
        except TrainingStopped:
            pass
        except TrainingDiverged as event:
            self.diverged_ = str(event)
        except KeyboardInterrupt:
            self.interrupted_ = True
        return self

    # One epoch, one step.

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """As in skorch, but losses stay on a GPU until the epoch ends: no sync per batch."""
        if iterator is None:
            return
        self._set_training(training)
        rows = self.history[-1]["batches"]
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            losses, n_rows = step.pop("losses"), step.pop("n_rows", len(batch[0]))
            losses[f"{prefix}_loss"] = step["loss"].detach()
            if training and len(rows) % _NORM_INTERVAL == 1:
                losses["gradient_norm"] = self._gradient_norm()
            if step["loss"].device.type == "cpu":
                # Small tensors that live on between the large ones of the steps would break memory
                # into pieces: 140 MiB in an epoch of 180,000 rows of 784 columns.
                losses = {name: value.item() for name, value in losses.items()}
            # As `history.record_batch` does, which looks for its row anew for each value.
            rows[-1].update(losses)
            rows[-1][f"{prefix}_batch_size"] = n_rows
            self.notify("on_batch_end", batch=batch, training=training, **step)
        _as_floats(rows)
        self.history.record(prefix + "_batch_count", len(iterator))

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        x, targets = batch
        autoencoder, game = self.module_, self.game
        weight = targets.get("sample_weight")
        # Half of the batch gets noise. The critics see the other half, since the codes that have to
        # match the prior are those of rows as they are.
        n_corrupted = len(x) // 2 if self.noise > 0 or hides_cells(self.module_) else 0
        noisy = self.corrupted(x, n_corrupted)
        with self.autocast():
            codes = autoencoder.encode(noisy, self.generator_)
        clean = codes[n_corrupted:]
        clean_targets = {
            name: targets[name][n_corrupted:] for name in ("sample_weight", "y") if name in targets
        }
        n_rows = targets.get("n_counted", len(x))
        self.group.begin_step(n_rows, min(n_rows, len(clean)))
        losses = game.train_discriminators(self, clean, clean_targets)

        step = Batch(x, codes, targets, n_corrupted)
        with self.autocast():
            output = autoencoder.predicted(codes, x, targets.get("y"), self.generator_).to(x.dtype)
            fooling = game.fooling_losses(self, clean, clean_targets)
            further = {term.name: term(self, step) for term in self.terms}
        reconstruction = self.reconstruction_loss(output, x, weight)
        loss = sum((c.weight * fooling[c.name] for c in game.active), reconstruction)
        loss = sum((term.weight * further[term.name] for term in self.terms), loss)

        # Only the autoencoder's gradients: the discriminators took their step.
        trained = self.optimizer_.param_groups[0]["params"]
        clear_gradients(self.optimizer_)
        loss.backward(inputs=trained)
        losses["reconstruction_loss"] = reconstruction.detach()
        for name, value in fooling.items():
            losses[game.loss_name(name, "generator_loss")] = value.detach()
        for name, value in further.items():
            losses[f"{name}_loss"] = value.detach()
        losses["loss"] = loss.detach()
        losses = self.group.average(gradients(trained), losses)
        self.notify(
            "on_grad_computed",
            named_parameters=TeeGenerator(self.get_all_learnable_params()),
            batch=batch,
            training=True,
        )
        self.optimizer_.step()
        n_rows = self.group.n_rows(n_rows)
        return {"loss": losses.pop("loss"), "y_pred": output, "losses": losses, "n_rows": n_rows}

    def _gradient_norm(self) -> Tensor:
        """Norm of the autoencoder's gradient in the last step."""
        trained = self.optimizer_.param_groups[0]["params"]
        return torch.nn.utils.get_total_norm(gradients(trained))

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        x, targets = batch
        with torch.no_grad():
            codes = self.module_.encode(x)
            output = self.module_.predicted(codes, x, targets.get("y"))
            loss = self.reconstruction_loss(output, x, targets.get("sample_weight"))
        style, categories = codes.tensor_split((self.module_.n_components,), dim=1)
        parts = {"codes": style, "categories": categories}
        return {"loss": loss, "y_pred": output, "losses": {}, **parts}

    def autocast(self) -> Any:
        """Context for forward passes in training."""
        return autocast(self.precision, self.device)

    def compiled_networks(self, rows: Any) -> AbstractContextManager[None]:
        """Context in which encoder and decoder run compiled, if they are to, and can be."""

        def trial(module: Any) -> None:
            """The passes of a step through batches of two sizes, which draw no random numbers."""
            x, targets = rows[torch.arange(min(len(rows), self.batch_size)).to(rows.index_device)]
            for n in {len(x), max(1, len(x) - 1)}:
                y = targets["y"][:n] if "y" in targets else None
                with torch.random.fork_rng(), self.autocast():
                    output = module.decode(module.encode(x[:n]), y)
                output.sum().backward()

        parts = ("encoder", "decoder")
        return compiled(self.compiles_networks, self.module_, parts, trial)

    def corrupted(self, x: Tensor, n_rows: int) -> Tensor:
        """Rows x with noise, or cells hidden, in the first n_rows of them."""
        return corrupted(x, n_rows, self.noise, self.module_, self.generator_)

    def reconstruction_loss(self, output: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        """Share of the deviance that the autoencoder leaves: 1 for predicting column means.

        Dividing by the null deviance makes the loss, and with it the adversarial weight, free of
        units, of the number of features and of the likelihood.
        """
        per_row = self.criterion_.deviance(output, x).mean(dim=1)
        return weighted_mean(per_row, weight) / self.null_deviance

    # State: arrays and plain values, so that a model travels between devices and no file holds live
    # modules. What follows from the rest, or belongs to one fit, is left out.

    def plain_state(self) -> dict[str, Any]:
        """What makes a net, less networks, game and likelihood."""
        return {
            **{name: getattr(self, name) for name in PLAIN},
            "device": str(self.device),
            "interrupted": self.interrupted_,
            "history": [{k: v for k, v in row.items() if k != "batches"} for row in self.history_],
            "generator": self.generator_.get_state().numpy(),
            "order_generator": self.order_generator_.get_state().numpy(),
            **{f"{name}_state": optimizer_state(getattr(self, f"{name}_")) for name in OPTIMIZERS},
        }

    def __getstate__(self) -> dict[str, Any]:
        return self.plain_state() | {
            "module": freeze(self.module_),
            "discriminators": freeze(self.discriminators_),
            "criterion": self.criterion_.to("cpu", torch.float32),
            "game": self.game,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        device = torch.device(state["device"])
        if device.type == "cuda" and not torch.cuda.is_available():
            warnings.warn(
                f"The model was trained on {device}, which is not available here: it is loaded "
                "on the CPU.",
                UserWarning,
                stacklevel=2,
            )
            device = torch.device("cpu")
        self.restore(
            state,
            thaw(state["module"]),
            thaw(state["discriminators"]),
            state["criterion"],
            state["game"],
            device,
        )
        self.restore_optimizers(state)

    def restore(
        self,
        state: dict[str, Any],
        module: nn.Module,
        discriminators: Any,
        criterion: Any,
        game: Any,
        device: torch.device,
    ) -> None:
        """Become the net of a plain state, less the memory of its optimisers, on a device."""
        AdversarialNet.__init__(
            self,
            module.to(device),
            criterion.to(device, torch.float32),
            game=game,
            discriminators=discriminators.to(device),
            device=str(device),
            verbose=0,
            **{name: state[name] for name in PLAIN},
        )
        self.initialize()
        self.interrupted_ = state["interrupted"]
        self.history_ = History({**row, "batches": []} for row in state["history"])
        self.order_generator_.set_state(torch.tensor(np.array(state["order_generator"])))
        self.generator_ = restored_generator(device, state["generator"])
        self._set_training(False)

    def restore_optimizers(self, state: dict[str, Any]) -> None:
        """Let the optimisers of a restored net go on as a plain state says."""
        for name in OPTIMIZERS:
            restore_optimizer(getattr(self, f"{name}_"), state[f"{name}_state"])


def _parameters_of(function: Any) -> Any:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # written in C
        return {}


def _as_floats(batches: list[dict[str, Any]]) -> None:
    """Turn the device tensors in the rows of a history into floats, one transfer for each name."""
    columns: dict[str, list[dict[str, Any]]] = {}
    for row in batches:
        for name, value in row.items():
            if isinstance(value, Tensor):
                columns.setdefault(name, []).append(row)
    for name, rows in columns.items():
        values = torch.stack([row[name] for row in rows]).tolist()
        for row, value in zip(rows, values, strict=True):
            row[name] = value

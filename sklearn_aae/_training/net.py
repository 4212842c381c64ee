"""The skorch net: networks, optimisers, whole-batch iteration, and one training step."""

from __future__ import annotations

import copy
import inspect
import math
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils import gen_batches
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring
from skorch.history import History
from skorch.utils import TeeGenerator
from torch import Tensor, nn

from sklearn_aae._rows.scaling import chunk_size, squashed
from sklearn_aae._training.acceleration import autocast, compiled
from sklearn_aae._training.critics import weighted_mean
from sklearn_aae._training.terms import Batch

__all__ = [
    "AdversarialNet",
    "BatchIterator",
    "Rows",
    "TrainingDiverged",
    "TrainingStopped",
    "clear_gradients",
    "restored_generator",
]

# Labelled rows for each row of a batch: one in four of so many.
_LABELLED_SHARE = 4

# The norm of the gradient is taken in the first of so many steps: in each, it was 3 % of a step of
# small networks, by the number of tensors, and of large ones, by their size.
_NORM_INTERVAL = 4

# Standardising 64 rows of 784 columns anew for each batch took a third of a step of a network with
# one hidden layer of 64; rows of up to so many bytes are kept standardised instead.
_BYTES_ON_CPU = 2**26


class TrainingStopped(Exception):  # noqa: N818  # an event, like StopIteration
    """Raised by a callback at the end of an epoch to end the training in good order."""


class TrainingDiverged(Exception):  # noqa: N818  # an event, too
    """Raised by a callback at the end of an epoch whose losses are of no use; says which."""


class Rows(torch.utils.data.Dataset):
    """Rows of X as standardised float32 batches.

    They are standardised once and kept on the device where they take little of its memory, and
    batch by batch otherwise, without a second copy of X. Both ways give the same bits.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Kept by reference, in its own dtype.
    center, scale : ndarray of shape (n_features,)
        x = squashed((X - center) / scale).
    device : torch.device
        Where batches are wanted.
    knee : float, default=inf
        Where standardised values start to grow logarithmically.
    selected : ndarray of int, default=None
        Rows that belong to the data set; None for all.
    targets : dict of str to ndarray of shape (n_rows,)
        Further values of each row, such as "sample_weight" and "y".
    labelled : ndarray of int, default=None
        Positions in the data set of rows that every batch is to bring a draw of.

    Attributes
    ----------
    index_device : torch.device
        Where positions have to be for `__getitem__`.
    neighbors : ndarray of int of shape (n_rows, n_neighbors), or None
        Positions in the data set of rows of which every batch is to bring one for each of its own.
    """

    def __init__(
        self,
        X: np.ndarray,
        center: np.ndarray,
        scale: np.ndarray,
        *,
        device: torch.device,
        knee: float = math.inf,
        selected: np.ndarray | None = None,
        targets: dict[str, np.ndarray] | None = None,
        labelled: np.ndarray | None = None,
    ) -> None:
        self.labelled = labelled
        self.neighbors: np.ndarray | None = None
        self._device = device
        self._knee = knee
        self._X = X
        self._selected = np.arange(len(X)) if selected is None else selected
        self._center = center.astype(X.dtype)
        self._scale = scale.astype(X.dtype)
        n_rows, n_features = len(self._selected), X.shape[1]
        self._kept: Tensor | None = None
        if 4 * n_rows * n_features <= _bytes_to_keep(device):
            self._kept = torch.empty((n_rows, n_features), device=device)
            for rows in gen_batches(n_rows, chunk_size(n_features)):
                self._kept[rows] = self._standardized(self._selected[rows])
        self.index_device = torch.device("cpu") if self._kept is None else device
        self._targets = {
            name: torch.as_tensor(values)[self._selected].to(self.index_device)
            for name, values in (targets or {}).items()
        }

    def __len__(self) -> int:
        return len(self._selected)

    def __getitem__(self, positions: Tensor) -> tuple[Tensor, dict[str, Any]]:
        """Batch (x, targets) of the rows at `positions`, in one indexing operation."""
        if self._kept is None:
            x = self._standardized(self._selected[positions.numpy()])
        else:
            x = self._kept[positions]
        targets = {name: values[positions] for name, values in self._targets.items()}
        if self._device.type != "cpu" and self._kept is None:
            return _moved((x, targets), self._device)
        return x, targets

    def _standardized(self, indices: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.take(self._X, indices, axis=0))
        x = x.sub_(torch.from_numpy(self._center)).div_(torch.from_numpy(self._scale))
        # Standardised in the dtype of X: float32 would lose columns far from zero in float64.
        return squashed(x, self._knee).float()

    def add_target(self, name: str, values: np.ndarray) -> None:
        """A further value, or a row of values, for each row of the data set."""
        self._targets[name] = torch.as_tensor(values).to(self.index_device)

    def arrays(self) -> Iterator[Any]:
        """All that the batches are made of, as arrays, tensors and plain values."""
        yield from (self._X, self._selected, self._center, self._scale, self._knee)
        for name, values in self._targets.items():
            yield from (name, values)
        if self.neighbors is not None:
            yield self.neighbors


def _bytes_to_keep(device: torch.device) -> int:
    """Memory for standardised rows: half of what a GPU has free, little where X itself lives."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    return _BYTES_ON_CPU


def _moved(value: Any, device: torch.device) -> Any:
    """Tensors on a device; for a GPU, through memory from which they are copied without waiting."""
    if isinstance(value, Tensor):
        value = value.pin_memory() if device.type == "cuda" else value
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {name: _moved(v, device) for name, v in value.items()}
    return tuple(_moved(v, device) for v in value)


class BatchIterator:
    """Batches of `Rows` of nearly equal size, in a new order each epoch if shuffled.

    skorch's default, a DataLoader, fetches row by row: on a small network that costs as much as
    the training step itself. Equal sizes leave no batch of one row at the end of an epoch.

    Parameters
    ----------
    dataset : Rows
        What to iterate over.
    batch_size : int
        Largest number of rows in a batch.
    shuffle : torch.Generator, default=None
        Source of the order; None keeps the order of the rows.

    Notes
    -----
    Where the data set names `labelled` rows, every batch brings a draw of them as its target
    "labelled": (x, targets), a quarter of its size, or all if they are fewer. Where it knows their
    neighbours, every batch brings a neighbour of each of its rows as its target "neighbor".
    """

    def __init__(
        self, dataset: Rows, batch_size: int, shuffle: torch.Generator | None = None
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, dict[str, Any]]]:
        order = torch.arange(len(self.dataset))
        if self.shuffle is not None:
            order = self._permuted(order)
        draws = self._labelled_draws()
        neighbors = None
        if self.dataset.neighbors is not None and self.shuffle is not None:
            neighbors = torch.from_numpy(self.dataset.neighbors)
        device = self.dataset.index_device
        for positions in order.to(device).tensor_split(len(self)):
            x, targets = self.dataset[positions]
            if draws is not None:
                targets["labelled"] = self.dataset[next(draws).to(device)]
            if neighbors is not None:
                column = torch.randint(neighbors.shape[1], (len(x),), generator=self.shuffle)
                drawn = neighbors[positions.cpu(), column]
                targets["neighbor"], _ = self.dataset[drawn.to(device)]
            yield x, targets

    def _permuted(self, positions: Tensor) -> Tensor:
        return positions[torch.randperm(len(positions), generator=self.shuffle)]

    def _labelled_draws(self) -> Iterator[Tensor] | None:
        """Positions of labelled rows without end, each as often as any other."""
        if self.dataset.labelled is None or self.shuffle is None:
            return None
        labelled = torch.from_numpy(self.dataset.labelled)
        n_drawn = min(len(labelled), -(-self.batch_size // _LABELLED_SHARE))

        def draws() -> Iterator[Tensor]:
            waiting = labelled[:0]
            while True:
                while len(waiting) < n_drawn:
                    waiting = torch.cat([waiting, self._permuted(labelled)])
                yield waiting[:n_drawn]
                waiting = waiting[n_drawn:]

        return draws()


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
            losses = step.pop("losses")
            losses[f"{prefix}_loss"] = step["loss"].detach()
            if training and len(rows) % _NORM_INTERVAL == 1:
                losses["gradient_norm"] = self._gradient_norm()
            if step["loss"].device.type == "cpu":
                # Small tensors that live on between the large ones of the steps would break memory
                # into pieces: 140 MiB in an epoch of 180,000 rows of 784 columns.
                losses = {name: value.item() for name, value in losses.items()}
            # As `history.record_batch` does, which looks for its row anew for each value.
            rows[-1].update(losses)
            rows[-1][f"{prefix}_batch_size"] = len(batch[0])
            self.notify("on_batch_end", batch=batch, training=training, **step)
        _as_floats(rows)
        self.history.record(prefix + "_batch_count", len(iterator))

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        x, targets = batch
        autoencoder, game = self.module_, self.game
        weight = targets.get("sample_weight")
        # Half of the batch gets noise. The critics see the other half, since the codes that have to
        # match the prior are those of rows as they are.
        n_corrupted = len(x) // 2 if self.noise > 0 else 0
        noisy = self.corrupted(x, n_corrupted)
        with self.autocast():
            codes = autoencoder.encode(noisy, self.generator_)
        clean = codes[n_corrupted:]
        clean_targets = {
            name: targets[name][n_corrupted:] for name in ("sample_weight", "y") if name in targets
        }
        losses = game.train_discriminators(self, clean, clean_targets)

        step = Batch(x, codes, targets, n_corrupted)
        with self.autocast():
            output = autoencoder.decode(codes, targets.get("y")).to(x.dtype)
            fooling = game.fooling_losses(self, clean, clean_targets)
            further = {term.name: term(self, step) for term in self.terms}
        reconstruction = self.reconstruction_loss(output, x, weight)
        loss = sum((c.weight * fooling[c.name] for c in game.active), reconstruction)
        loss = sum((term.weight * further[term.name] for term in self.terms), loss)

        # Only the autoencoder's gradients: the discriminators took their step.
        trained = self.optimizer_.param_groups[0]["params"]
        clear_gradients(self.optimizer_)
        loss.backward(inputs=trained)
        self.notify(
            "on_grad_computed",
            named_parameters=TeeGenerator(self.get_all_learnable_params()),
            batch=batch,
            training=True,
        )
        self.optimizer_.step()
        losses["reconstruction_loss"] = reconstruction.detach()
        for name, value in fooling.items():
            losses[game.loss_name(name, "generator_loss")] = value.detach()
        for name, value in further.items():
            losses[f"{name}_loss"] = value.detach()
        return {"loss": loss, "y_pred": output, "losses": losses}

    def _gradient_norm(self) -> Tensor:
        """Norm of the autoencoder's gradient in the last step."""
        trained = self.optimizer_.param_groups[0]["params"]
        return torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        x, targets = batch
        with torch.no_grad():
            codes = self.module_.encode(x)
            output = self.module_.decode(codes, targets.get("y"))
            loss = self.reconstruction_loss(output, x, targets.get("sample_weight"))
        style = codes[:, : self.module_.n_components]
        return {"loss": loss, "y_pred": output, "codes": style, "losses": {}}

    def autocast(self) -> Any:
        """Context for forward passes in training."""
        return autocast(self.precision, self.device)

    def compiled_networks(self, rows: Rows) -> AbstractContextManager[None]:
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
        """Rows x with noise added to the first n_rows of them."""
        if n_rows == 0 or self.noise == 0:
            return x
        eta = torch.randn((n_rows, x.shape[1]), generator=self.generator_, device=x.device)
        return torch.cat([torch.add(x[:n_rows], eta, alpha=self.noise), x[n_rows:]])

    def reconstruction_loss(self, output: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        """Share of the deviance that the autoencoder leaves: 1 for predicting column means.

        Dividing by the null deviance makes the loss, and with it the adversarial weight, free of
        units, of the number of features and of the likelihood.
        """
        per_row = self.criterion_.deviance(output, x).mean(dim=1)
        return weighted_mean(per_row, weight) / self.null_deviance

    # State: arrays, so that a model travels between devices and no file holds live modules.

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("module_", "discriminators_", "criterion_", "callbacks_", "callbacks"):
            state.pop(name, None)
        for name in ("module", "discriminators"):
            state[name] = _freeze(state[name])
        for name in ("optimizer_", "discriminator_optimizer_"):
            state[name] = _to_arrays(state[name].state_dict())
        for name in ("generator_", "order_generator_"):
            state[name] = state[name].get_state().numpy()
        state.pop("iterator_train__shuffle")
        state["criterion"] = self.criterion.to("cpu", torch.float32)
        state["history_"] = History({**row, "batches": []} for row in self.history_)
        state["device"] = str(self.device)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        frozen = {
            name: state.pop(name)
            for name in ("generator_", "order_generator_", "optimizer_", "discriminator_optimizer_")
        }
        device = torch.device(state["device"])
        if device.type == "cuda" and not torch.cuda.is_available():
            warnings.warn(
                f"The model was trained on {device}, which is not available here: it is loaded "
                "on the CPU.",
                UserWarning,
                stacklevel=2,
            )
            device = torch.device("cpu")
        state["device"] = str(device)
        for name in ("module", "discriminators"):
            state[name] = _thaw(*state[name]).to(device)
        state["criterion"] = state["criterion"].to(device, torch.float32)
        self.__dict__.update(state)
        self.__dict__.update(
            module_=self.module,
            discriminators_=self.discriminators,
            criterion_=self.criterion,
            callbacks=None,
            callbacks_=[],
            order_generator_=restored_generator("cpu", frozen["order_generator_"]),
            generator_=restored_generator(device, frozen["generator_"]),
        )
        self.iterator_train__shuffle = self.order_generator_
        with self._current_init_context("optimizer"):
            self.initialize_optimizer()
        for name in ("optimizer_", "discriminator_optimizer_"):
            getattr(self, name).load_state_dict(_to_tensors(frozen[name]))


def clear_gradients(optimizer: torch.optim.Optimizer) -> None:
    """What ``optimizer.zero_grad()`` does, without what it tells torch's profiler and compiler."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


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


class _Slot(NamedTuple):
    """Where a tensor was in a module's structure: its place in the list of arrays."""

    position: int
    is_parameter: bool
    requires_grad: bool


def _freeze(module: nn.Module) -> tuple[nn.Module, list[np.ndarray]]:
    """A module as its structure, with slots for tensors, and the list of its arrays.

    Also tied weights come back as one: they share a slot.
    """
    tensors = [*module.parameters(), *module.buffers()]
    memo: dict[int, Any] = {
        id(t): _Slot(i, isinstance(t, nn.Parameter), t.requires_grad) for i, t in enumerate(tensors)
    }
    return copy.deepcopy(module, memo), [t.detach().cpu().numpy().copy() for t in tensors]


def _thaw(structure: nn.Module, arrays: list[np.ndarray]) -> nn.Module:
    module = copy.deepcopy(structure)
    # Copies: joblib may hand out read-only memory maps.
    tensors = [torch.tensor(np.array(array)) for array in arrays]
    made: dict[int, Tensor] = {}

    def fill(slot: Any) -> Any:
        if not isinstance(slot, _Slot):
            return slot
        if slot.position not in made:
            t = tensors[slot.position]
            made[slot.position] = nn.Parameter(t, slot.requires_grad) if slot.is_parameter else t
        return made[slot.position]

    for part in module.modules():
        for store in (part._parameters, part._buffers):
            store.update({name: fill(slot) for name, slot in store.items()})
    return module


def _to_arrays(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach().cpu().numpy().copy()
    if isinstance(state, dict):
        return {key: _to_arrays(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_to_arrays(value) for value in state]
    return state


def _to_tensors(state: Any) -> Any:
    if isinstance(state, np.ndarray):
        return torch.tensor(np.array(state))
    if isinstance(state, dict):
        return {key: _to_tensors(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_to_tensors(value) for value in state]
    return state


def restored_generator(device: torch.device | str, state: np.ndarray) -> torch.Generator:
    """Generator of torch that goes on from a state, also one of another kind of device."""
    generator = torch.Generator(device)
    if generator.get_state().numel() == len(state):
        generator.set_state(torch.tensor(np.array(state)))
    else:
        # A CUDA generator's state does not fit a CPU generator; the stream starts anew from it.
        generator.manual_seed(int.from_bytes(np.asarray(state)[:7].tobytes(), "little"))
    return generator

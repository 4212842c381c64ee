"""Callbacks of the training: the adversarial game, monitors, early stopping, progress."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor
from tqdm.auto import tqdm

from sklearn_aae._critics import Critic, sliced_wasserstein_distance
from sklearn_aae._net import TrainingStopped
from sklearn_aae.priors import draw

__all__ = [
    "AdversarialTraining",
    "EarlyStopping",
    "LearningRateDecay",
    "PriorMatch",
    "Progress",
]

# The penalty is a smooth function of slowly changing weights: computing it every fourth step at
# four times its weight gives the same training for a third of the discriminator's cost (the "lazy
# regularisation" of Karras et al., 2020, section 4.2, who use 16).
_PENALTY_INTERVAL = 4


class AdversarialTraining(Callback):
    """The game between encoder and discriminators, as a skorch callback.

    It holds the critics, makes the discriminators' steps, returns the losses by which the encoder
    is to fool them, and records the epoch means of all losses in the history.

    Parameters
    ----------
    critics : sequence of Critic
        What is compared with what; those of weight 0 do not take part.

    Examples
    --------
    >>> from sklearn_aae.callbacks import AdversarialTraining
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn.datasets import load_iris
    >>> model = AdversarialAutoencoder(max_iter=2, random_state=0).fit(load_iris().data)
    >>> isinstance(dict(model.net_.callbacks_)["game"], AdversarialTraining)
    True
    """

    def __init__(self, critics: Sequence[Critic]) -> None:
        self.critics = critics

    @property
    def active(self) -> list[Critic]:
        """Critics that take part."""
        return [critic for critic in self.critics if critic.weight > 0]

    @staticmethod
    def loss_name(critic: str, loss: str) -> str:
        """Key of a critic's loss in the history; the critic of the codes goes unnamed."""
        return loss if critic == "prior" else f"{critic}_{loss}"

    def initialize(self) -> AdversarialTraining:
        self.n_steps_ = 0
        return self

    def train_discriminators(
        self, net: Any, codes: Tensor, targets: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """One step of every discriminator on detached codes; the losses by name."""
        lazy = self.n_steps_ % _PENALTY_INTERVAL == 0
        self.n_steps_ += 1
        recorded: dict[str, Tensor] = {}
        total = codes.new_zeros(())
        for critic in self.active:
            losses = critic.discriminator_loss(
                net.discriminators_[critic.name],
                critic.part(codes),
                net.generator_,
                y=targets.get("y"),
                weight=targets.get("sample_weight"),
                penalty_factor=float(_PENALTY_INTERVAL) if lazy else 0.0,
            )
            total = total + losses["discriminator"] + losses.get("penalty", 0.0)
            for name, key in (("discriminator", "loss"), ("accuracy", "accuracy")):
                full_name = self.loss_name(critic.name, f"discriminator_{key}")
                recorded[full_name] = losses[name].detach()
        if self.active:
            net.discriminator_optimizer_.zero_grad()
            total.backward()
            net.discriminator_optimizer_.step()
        return recorded

    def fooling_losses(
        self, net: Any, codes: Tensor, targets: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The encoder's loss for every critic that takes part, before the critic's weight."""
        return {
            critic.name: critic.fooling_loss(
                net.discriminators_[critic.name],
                critic.part(codes),
                net.generator_,
                y=targets.get("y"),
                weight=targets.get("sample_weight"),
            )
            for critic in self.active
        }

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the epoch means of all losses; a loss that is not finite ends the training."""
        history = net.history
        rows = [row for row in history[-1]["batches"] if "train_batch_size" in row]
        sizes = np.array([row["train_batch_size"] for row in rows])
        for name in rows[0]:
            if name in ("train_loss", "train_batch_size"):
                continue
            value = float(np.average([row[name] for row in rows], weights=sizes))
            if not math.isfinite(value):
                raise ValueError(
                    f"{name} became {value} in epoch {len(history)}: the training diverged. Lower "
                    f"lr (now {net.lr:g}) or discriminator_lr (now {net.discriminator_lr:g}), set "
                    "standardize=True, or look for extreme values in X."
                )
            history.record(name, value)
        # The rows of an epoch are of use while it lasts; keeping all of them would grow with the
        # number of steps.
        if len(history) > 1:
            history[-2]["batches"] = []


class LearningRateDecay(Callback):
    """Cosine decay of all learning rates over the second half of the training.

    Two players that keep their step size circle around the equilibrium; smaller steps settle.

    Parameters
    ----------
    n_epochs : int
        Length of the training in epochs.

    Examples
    --------
    >>> from sklearn_aae.callbacks import LearningRateDecay
    >>> decay = LearningRateDecay(n_epochs=100)
    >>> decay.factor(0.5), round(decay.factor(1.0), 3)
    (1.0, 0.01)
    """

    _LAST = 0.01  # of the initial rate

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def factor(self, progress: float) -> float:
        """Share of the initial rate after a share `progress` of the training."""
        late = max(0.0, 2 * progress - 1)
        return self._LAST + (1 - self._LAST) * 0.5 * (1 + math.cos(math.pi * min(1.0, late)))

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.n_steps_ = 0
        self.n_steps_total_ = self.n_epochs * len(net.get_iterator(X, training=True))

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool | None = None, **kwargs: Any
    ) -> None:
        if not training:
            return
        net.scale_learning_rates(self.factor(self.n_steps_ / self.n_steps_total_))
        self.n_steps_ += 1


def null_distances(
    prior: Any,
    n_codes: int,
    directions: Tensor,
    generator: torch.Generator,
    n_repeats: int = 20,
) -> np.ndarray:
    """Sliced Wasserstein distances between two draws of the prior itself, of `n_codes` each."""
    return np.array(
        [
            sliced_wasserstein_distance(
                draw(prior, n_codes, generator), draw(prior, n_codes, generator), directions
            ).item()
            for _ in range(n_repeats)
        ]
    )


class PriorMatch(Callback):
    """Distance of held-out codes from the prior, recorded each epoch as ``"prior_match"``.

    The sliced Wasserstein-1 distance between the codes and as many draws of the prior, over the
    prior's root mean square; two samples of the prior itself are about ``null_`` apart.

    Parameters
    ----------
    prior : object
        With ``sample(n_samples, generator)``.
    n_directions : int, default=64
        Number of projections.
    seed : int, default=0
        Seed of projections and draws.

    Attributes
    ----------
    null_ : float
        Mean distance between two samples of the prior of the size of the held-out set.
    null_quantile_ : float
        Their 95 % quantile.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.callbacks import PriorMatch
    >>> from sklearn_aae.priors import Normal
    >>> monitor = PriorMatch(Normal(n_components=2))
    >>> far = monitor.measure(torch.full((100, 2), 3.0))
    >>> far > 10 * monitor.null_
    True
    """

    # Enough to tell samples apart, and the cost stays that of a small sort.
    MAX_CODES = 1000

    def __init__(self, prior: Any, n_directions: int = 64, seed: int = 0) -> None:
        self.prior = prior
        self.n_directions = n_directions
        self.seed = seed
        self._null: dict[int, np.ndarray] = {}  # distances by number of codes

    def initialize(self) -> PriorMatch:
        self._codes: list[Tensor] = []
        return self

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool | None = None, **kwargs: Any
    ) -> None:
        if not training:
            self._codes.append(kwargs["codes"])

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self._codes:
            net.history.record("prior_match", self.measure(torch.cat(self._codes)))
            self._codes = []

    def measure(self, codes: Tensor) -> float:
        """Distance of codes (n, n_components) from the prior; sets the null's attributes."""
        codes = codes.detach().to("cpu", torch.float32)[: self.MAX_CODES]
        generator = torch.Generator().manual_seed(self.seed)
        directions = torch.randn((codes.shape[1], self.n_directions), generator=generator)
        directions = directions / directions.norm(dim=0)
        reference = draw(self.prior, len(codes), generator)
        unit = reference.square().mean().sqrt().item()
        if len(codes) not in self._null:
            self._null[len(codes)] = null_distances(self.prior, len(codes), directions, generator)
        null = self._null[len(codes)] / unit
        self.null_ = float(null.mean())
        self.null_quantile_ = float(np.quantile(null, 0.95))
        return sliced_wasserstein_distance(codes, reference, directions).item() / unit


class EarlyStopping(Callback):
    """Stop when held-out rows get no better, and go back to the best weights.

    What has to fall is the held-out reconstruction loss plus what the distance of held-out codes
    from the prior exceeds its null level by; both are free of units. The adversarial losses say
    who is winning, not how good the codes are, and are not looked at.

    Parameters
    ----------
    n_iter_no_change : int
        Number of epochs without improvement after which to stop.
    tol : float
        Smallest fall of the criterion that counts.
    monitor : PriorMatch or None
        Source of the distance; None without a game.

    Attributes
    ----------
    best_epoch_ : int
        Epoch of the best weights, from 1.
    best_criterion_ : float
        Criterion in that epoch.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> model = AdversarialAutoencoder(early_stopping=True, max_iter=20, random_state=0)
    >>> model = model.fit(load_digits().data)
    >>> len(model.history_["valid_loss"]) == model.n_iter_
    True
    """

    def __init__(self, n_iter_no_change: int, tol: float, monitor: PriorMatch | None) -> None:
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.monitor = monitor

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.best_criterion_ = math.inf
        self.best_epoch_ = 0
        self._n_stale = 0
        self._best_weights: tuple[Any, Any] | None = None

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        row = net.history[-1]
        criterion = row["valid_loss"]
        if self.monitor is not None:
            criterion += max(0.0, row["prior_match"] - self.monitor.null_)
        net.history.record("early_stopping_criterion", criterion)
        if criterion < self.best_criterion_ - self.tol:
            self._n_stale = 0
        else:
            self._n_stale += 1
        if criterion < self.best_criterion_:
            self.best_criterion_ = criterion
            self.best_epoch_ = row["epoch"]
            self._best_weights = (
                copy.deepcopy(net.module_.state_dict()),
                copy.deepcopy(net.discriminators_.state_dict()),
            )
        if self._n_stale >= self.n_iter_no_change:
            raise TrainingStopped

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if self._best_weights is not None:
            net.module_.load_state_dict(self._best_weights[0])
            net.discriminators_.load_state_dict(self._best_weights[1])
            self._best_weights = None


class ScikitLearnCallbacks(Callback):
    """Tells scikit-learn's own callbacks (1.9 and later) of each epoch; they may end the training.

    Parameters
    ----------
    estimator : BaseEstimator
        The estimator being fitted.
    context : sklearn.callback.CallbackContext
        Context of the fit.
    told : dict
        What scikit-learn's callbacks are told of the data: "X", "y" and "metadata".
    snapshot : callable
        Returns the fitted attributes of the moment; called only if a callback wants them.
    """

    def __init__(self, estimator: Any, context: Any, told: dict[str, Any], snapshot: Any) -> None:
        self.estimator = estimator
        self.context = context
        self.told = told
        self.snapshot = snapshot

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any
    ) -> None:
        self._epoch = self.context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self.estimator, **self.told)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self._epoch.call_on_fit_task_end(
            estimator=self.estimator, **self.told, reconstruction_attributes=self.snapshot
        ):
            raise TrainingStopped


class Progress(Callback):
    """A bar over epochs with losses and the time left; lines of text where there is no terminal.

    Parameters
    ----------
    n_epochs : int
        Length of the training in epochs.
    keys : sequence of str
        Columns of the history to show.

    Examples
    --------
    >>> from sklearn_aae.callbacks import Progress
    >>> Progress(n_epochs=10).keys
    ('reconstruction_loss', 'discriminator_loss', 'valid_loss')
    """

    _N_LINES = 10  # in a log file

    def __init__(
        self,
        n_epochs: int,
        keys: Sequence[str] = ("reconstruction_loss", "discriminator_loss", "valid_loss"),
    ) -> None:
        self.n_epochs = n_epochs
        self.keys = keys

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        # A notebook's bar is a widget and needs no terminal.
        notebook = "ipykernel" in sys.modules
        self._bar = (
            tqdm(total=self.n_epochs, unit="epoch") if notebook or sys.stderr.isatty() else None
        )

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        row = net.history[-1]
        losses = {key: f"{row[key]:.4f}" for key in self.keys if key in row}
        if self._bar is not None:
            self._bar.set_postfix(losses, refresh=False)
            self._bar.update()
            return
        epoch = row["epoch"]
        every = max(1, self.n_epochs // self._N_LINES)
        if epoch == 1 or epoch % every == 0 or epoch == self.n_epochs:
            text = ", ".join(f"{key}={value}" for key, value in losses.items())
            print(f"epoch {epoch}/{self.n_epochs}: {text}", flush=True)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

"""Callbacks of the training: the game, monitors, early stopping, checkpoints, progress."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor
from tqdm.auto import tqdm

from sklearn_aae._training.critics import Critic, sliced_wasserstein_distance
from sklearn_aae._training.net import TrainingDiverged, TrainingStopped, clear_gradients
from sklearn_aae._training.state import all_finite, copy_networks, restore_networks
from sklearn_aae.callbacks.checkpoint import Checkpoint
from sklearn_aae.priors import draw

__all__ = [
    "AdversarialTraining",
    "Checkpoint",
    "EarlyStopping",
    "LastGoodWeights",
    "LearningRateDecay",
    "PriorMatch",
    "Progress",
    "ScoreMonitor",
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
        # Steps are counted on where fits continue each other, in chunks of few steps each.
        self.n_steps_ = getattr(self, "n_steps_", 0)
        return self

    def get_state(self, net: Any) -> dict[str, Any]:
        """What a checkpoint has to hold of this callback."""
        return {"n_steps": self.n_steps_}

    def set_state(self, net: Any, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.n_steps_ = state["n_steps"]

    def train_discriminators(
        self, net: Any, codes: Tensor, targets: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """One step of every discriminator on detached codes; the losses by name."""
        lazy = self.n_steps_ % _PENALTY_INTERVAL == 0
        self.n_steps_ += 1
        recorded: dict[str, Tensor] = {}
        parts: list[Tensor] = []
        for critic in self.active:
            with net.autocast():
                losses = critic.discriminator_loss(
                    net.discriminators_[critic.name],
                    critic.part(codes),
                    net.generator_,
                    y=targets.get("y"),
                    weight=targets.get("sample_weight"),
                    penalty_factor=float(_PENALTY_INTERVAL) if lazy else 0.0,
                )
            parts += [losses[name] for name in ("discriminator", "penalty") if name in losses]
            for name, key in (("discriminator", "loss"), ("accuracy", "accuracy")):
                full_name = self.loss_name(critic.name, f"discriminator_{key}")
                recorded[full_name] = losses[name].detach()
        if self.active:
            clear_gradients(net.discriminator_optimizer_)
            torch.autograd.backward(parts)
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
        for name in rows[0]:
            if name in ("train_loss", "train_batch_size"):
                continue
            known = [row for row in rows if name in row]
            sizes = [row["train_batch_size"] for row in known]
            value = float(np.average([row[name] for row in known], weights=sizes))
            if not math.isfinite(value):
                raise TrainingDiverged(f"{name} became {value} in epoch {len(history)}")
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

    def get_state(self, net: Any) -> dict[str, Any]:
        """What a checkpoint has to hold of this callback."""
        return {"n_steps": self.n_steps_}

    def set_state(self, net: Any, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.n_steps_ = state["n_steps"]

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool | None = None, **kwargs: Any
    ) -> None:
        if not training:
            return
        net.progress_ = self.n_steps_ / self.n_steps_total_
        net.scale_learning_rates(self.factor(net.progress_))
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
        # A prior whose draws are all zero has no unit of its own.
        unit = reference.square().mean().sqrt().item() or 1.0
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

    def get_state(self, net: Any) -> dict[str, Any]:
        """What a checkpoint has to hold of this callback."""
        return {
            "best_criterion": self.best_criterion_,
            "best_epoch": self.best_epoch_,
            "n_stale": self._n_stale,
            "best_weights": self._best_weights,
        }

    def set_state(self, net: Any, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best_criterion_ = state["best_criterion"]
        self.best_epoch_ = state["best_epoch"]
        self._n_stale = state["n_stale"]
        self._best_weights = state["best_weights"]

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if self._best_weights is not None:
            net.module_.load_state_dict(self._best_weights[0])
            net.discriminators_.load_state_dict(self._best_weights[1])
            self._best_weights = None


class LastGoodWeights(Callback):
    """Go back to weights from before the training diverged.

    A training has diverged where a loss or weight is not finite, or where the reconstruction loss
    ends far above its lowest value and above what predicting the column means costs. Networks and
    optimisers then become those of the last copy made in a good epoch.

    Parameters
    ----------
    n_steps : int, default=50
        Steps from one copy to the next, in memory, at the end of an epoch. On one thread of a CPU,
        a copy every 50 steps takes 0.5 to 0.8 % of the time of default networks.

    Attributes
    ----------
    kept_epoch_ : int
        Epoch of the last copy, from 1; 0 before the first.
    restored_epoch_ : int or None
        Epoch gone back to; None where there was no need.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> model = AdversarialAutoencoder(max_iter=2, random_state=0).fit(load_iris().data)
    >>> print(dict(model.net_.callbacks_)["LastGoodWeights"].restored_epoch_)
    None
    """

    # A reconstruction loss of 1 is that of predicting the column means: at ten times that, and ten
    # times what the same training reached before, a model is of no use.
    _EXPLODED = 10.0

    def __init__(self, n_steps: int = 50) -> None:
        self.n_steps = n_steps

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.kept_epoch_ = 0
        self.restored_epoch_: int | None = None
        self._kept: dict[str, Any] | None = None
        self._lowest = math.inf
        self._exploded = False
        self._n_steps_since = self.n_steps

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        row = net.history[-1]
        loss = row["reconstruction_loss"]
        self._lowest = min(self._lowest, loss)
        self._exploded = loss > self._EXPLODED * max(1.0, self._lowest)
        self._n_steps_since += row["train_batch_count"]
        if self._n_steps_since >= self.n_steps and not self._exploded:
            self._keep(net)

    def _keep(self, net: Any) -> None:
        # Finite losses came from the weights before the last step.
        if all_finite(net):
            self._kept, self.kept_epoch_ = copy_networks(net), net.history[-1]["epoch"]
            self._n_steps_since = 0

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if net.diverged_ is None and self._exploded:
            net.diverged_ = (
                f"reconstruction_loss rose to {net.history[-1]['reconstruction_loss']:g} by epoch "
                f"{len(net.history)}, from {self._lowest:g} at best"
            )
        if net.diverged_ is None and not all_finite(net):
            net.diverged_ = f"weights became infinite or NaN in epoch {len(net.history)}"
        if net.diverged_ is not None and self._kept is not None:
            restore_networks(net, self._kept)
            self.restored_epoch_ = self.kept_epoch_
        self._kept = None

    def get_state(self, net: Any) -> dict[str, Any]:
        """What a checkpoint has to hold of this callback."""
        # With a checkpoint of the same epoch, no second copy has to be stored.
        epoch = net.history[-1]["epoch"]
        if not self._exploded and self.kept_epoch_ != epoch:
            self._keep(net)
        is_current = self.kept_epoch_ == epoch
        return {
            "lowest": self._lowest,
            "exploded": self._exploded,
            "n_steps_since": self._n_steps_since,
            "kept_epoch": self.kept_epoch_,
            "kept": None if is_current else self._kept,
        }

    def set_state(self, net: Any, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._lowest, self._exploded = state["lowest"], state["exploded"]
        self._n_steps_since, self.kept_epoch_ = state["n_steps_since"], state["kept_epoch"]
        is_current = self.kept_epoch_ == net.history[-1]["epoch"]
        self._kept = copy_networks(net) if is_current else state["kept"]


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


class ScoreMonitor:
    """Scores after each epoch, and the end of the training where they get no better.

    A callback of scikit-learn (1.9 and later), for ``set_callbacks``, that needs no `y`, unlike
    `sklearn.callback.ScoringMonitor`. Inside a pipeline or a search, set it on the estimator.

    Parameters
    ----------
    scoring : callable or None, default=None
        ``scoring(estimator, X) -> float``, the higher, the better; None: ``estimator.score(X)``.
    X : array-like of shape (n_samples, n_features) or None, default=None
        Rows to score; None: the training rows.
    n_iter_no_change : int or None, default=None
        Epochs without a better score after which to stop; None: monitor only. The weights are those
        of the last epoch; `early_stopping` of the estimator goes back to the best ones.
    tol : float, default=0.0
        Improvement that counts.

    Attributes
    ----------
    runs_ : list of list of float
        Scores of each epoch, one list for each fit in this process.

    Notes
    -----
    The estimator is completed for each score, with the density that its scores need.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn_aae.callbacks import ScoreMonitor
    >>> monitor = ScoreMonitor()
    >>> model = AdversarialAutoencoder(max_iter=3, random_state=0).set_callbacks(monitor)
    >>> model = model.fit(load_iris().data)
    >>> len(monitor.runs_[-1])
    3
    """

    def __init__(
        self,
        scoring: Callable[[Any, Any], float] | None = None,
        X: Any = None,
        n_iter_no_change: int | None = None,
        tol: float = 0.0,
    ) -> None:
        self.scoring = scoring
        self.X = X
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        # scikit-learn hands one callback to all clones of an estimator.
        self.runs_: list[list[float]] = []
        self._running: dict[int, list[float]] = {}

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a run."""
        scores: list[float] = []
        self.runs_.append(scores)
        self._running[id(estimator)] = scores

    def teardown(self, estimator: Any, context: Any) -> None:
        """End a run."""
        self._running.pop(id(estimator), None)

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing to do; scikit-learn's protocol asks for it."""

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any, fitted_estimator: Any
    ) -> bool:
        """Score after an epoch; True ends the training."""
        if context.task_name != "epoch":
            return False
        rows = X if self.X is None else self.X
        if self.scoring is None:
            score = fitted_estimator.score(rows)
        else:
            score = self.scoring(fitted_estimator, rows)
        scores = self._running[id(estimator)]
        scores.append(float(score))
        n = self.n_iter_no_change
        if n is None or len(scores) <= n:
            return False
        return max(scores[-n:]) <= max(scores[:-n]) + self.tol


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
        self._n_before = len(net.history)
        # A notebook's bar is a widget and needs no terminal.
        notebook = "ipykernel" in sys.modules
        self._bar = (
            tqdm(total=self.n_epochs, unit="epoch") if notebook or sys.stderr.isatty() else None
        )

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        row = net.history[-1]
        losses = {key: f"{row[key]:.4f}" for key in self.keys if key in row}
        epoch = len(net.history) - self._n_before
        if self._bar is not None:
            self._bar.set_postfix(losses, refresh=False)
            self._bar.update(epoch - self._bar.n)
            return
        every = max(1, self.n_epochs // self._N_LINES)
        if epoch == 1 or epoch % every == 0 or epoch == self.n_epochs:
            text = ", ".join(f"{key}={value}" for key, value in losses.items())
            print(f"epoch {epoch}/{self.n_epochs}: {text}", flush=True)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

"""When a training slows down, stops, or goes back to weights from before."""

from __future__ import annotations

import copy
import math
from typing import Any

from skorch.callbacks import Callback

from sklearn_aae._training.net import TrainingStopped
from sklearn_aae._training.state import all_finite, copy_networks, restore_networks
from sklearn_aae.callbacks.held_out_labels import HeldOutLabels
from sklearn_aae.callbacks.prior_match import PriorMatch


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


class EarlyStopping(Callback):
    """Stop when held-out rows get no better, and go back to the best weights.

    What has to fall is the held-out reconstruction loss plus what the distance of held-out codes
    from the prior exceeds its null level by, and, where held-out rows have labels, their loss over
    that of knowing nothing; all are free of units. The adversarial losses say who is winning, not
    how good the codes are, and are not looked at.

    Parameters
    ----------
    n_iter_no_change : int
        Number of epochs without improvement after which to stop.
    tol : float
        Smallest fall of the criterion that counts.
    monitor : PriorMatch or None
        Source of the distance; None without a game.
    labels : HeldOutLabels or None, default=None
        Source of the loss of held-out labels; None where there are none.
    start : float, default=0.0
        Share of the training before which epochs do not count: weights that a term of the loss has
        not seen yet are not to be gone back to.

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

    def __init__(
        self,
        n_iter_no_change: int,
        tol: float,
        monitor: PriorMatch | None,
        labels: HeldOutLabels | None = None,
        start: float = 0.0,
    ) -> None:
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.monitor = monitor
        self.labels = labels
        self.start = start

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
        if self.labels is not None:
            criterion += row["valid_classification_loss"] / self.labels.unit
        net.history.record("early_stopping_criterion", criterion)
        if self.start > 0 and net.progress_ < self.start:
            return
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

"""Who watches a training: a bar for people, and the callbacks of scikit-learn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from skorch.callbacks import Callback
from tqdm.auto import tqdm

from sklearn_aae._training.net import TrainingStopped


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

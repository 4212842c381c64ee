"""Checkpoints: a training that is killed goes on where it was when `fit` is called again."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skorch.callbacks import Callback

from sklearn_aae._files.atomic import check_writable, load_state, remove_leftovers, save_state
from sklearn_aae._training.state import fingerprint, restore_training, training_state


class Checkpoint(Callback):
    """Keeps a training that is killed from being lost: the same `fit`, started again, goes on.

    Every few epochs the state of the training is written to a file in `directory`. `fit` with the
    same data and parameters goes on from it and, on one machine with the same versions and number
    of threads, ends with the weights of a training that was never killed, to the bit on a CPU. The
    file is removed when `fit` is done, so that the next `fit` starts afresh. It is kept if `fit`
    fails or is interrupted.

    The name of the file tells data, parameters, initial weights and versions apart by a digest:
    with any other of these, `fit` starts afresh beside it. So a directory can be shared, also by
    the fits of a grid search, which then goes on where it was killed.

    A file is either the old or the new one, whole, whenever the process dies, and is read without
    pickle. Files of trainings that never came to an end stay until you remove them.

    Parameters
    ----------
    directory : str or path
        Where to write; made if it does not exist.
    every : int, default=1
        Epochs from one checkpoint to the next, at least 1. Writing takes some milliseconds.

    Attributes
    ----------
    path_ : pathlib.Path
        File of the last training.
    n_epochs_resumed_ : int
        Epochs that the last training did not have to repeat.

    Notes
    -----
    Needs `random_state` as an int or a generator in a known state, since otherwise no training
    equals another; works with `fit`, as `partial_fit` makes a single pass.

    Your other callbacks are part of the state if they have ``get_state(net)``, which returns
    arrays, numbers and strings, and dicts and lists of them, and ``set_state(net, state)``. What
    they change in the networks is, in any case. Without these methods, their parameters are not
    compared: start afresh, in an empty directory, if you change one that touches the training.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn_aae.callbacks import Checkpoint
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     model = AdversarialAutoencoder(
    ...         max_iter=3, callbacks=[Checkpoint(directory)], random_state=0
    ...     ).fit(load_iris().data)
    >>> model.callbacks[0].n_epochs_resumed_
    0
    """

    path_: Path
    n_epochs_resumed_: int
    _n_before: int  # epochs of the fits that this one continues

    def __init__(self, directory: Any, every: int = 1) -> None:
        self.directory = directory
        self.every = every

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        rows, held_out = net.get_split_datasets(X, y)
        state = self.open(fingerprint(net, rows, held_out))
        self._n_before = len(net.history)
        if state is None:
            return
        restore_training(net, state)
        self.n_epochs_resumed_ = len(net.history) - self._n_before
        net.n_epochs_resumed_ = self.n_epochs_resumed_

    def open(self, digest: str) -> dict[str, Any] | None:
        """The state of a training with this digest; None where none was written."""
        if not isinstance(self.every, numbers.Integral) or self.every < 1:
            raise ValueError(
                f"Checkpoint: every must be an int of at least 1, the number of epochs from one "
                f"checkpoint to the next, got {self.every!r}."
            )
        directory = Path(self.directory)
        with _naming_directory(directory):
            directory.mkdir(parents=True, exist_ok=True)
            self.path_ = directory / f"training-{digest}.npz"
            remove_leftovers(self.path_)
            check_writable(self.path_)
        self.n_epochs_resumed_ = 0
        try:
            return load_state(self.path_)
        except FileNotFoundError:
            return None

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the state; comes after all other callbacks of the estimator."""
        if (len(net.history) - self._n_before) % self.every == 0:
            self.write(training_state(net))

    def write(self, state: dict[str, Any]) -> None:
        """Write the state of a training in place of the last one."""
        with _naming_directory(self.path_.parent):
            try:
                save_state(self.path_, state)
            except FileNotFoundError:
                # An equal fit that started elsewhere took the unfinished file for a leftover.
                save_state(self.path_, state)

    def complete(self) -> None:
        """Remove the file of a training that came to its end."""
        self.path_.unlink(missing_ok=True)


@contextmanager
def _naming_directory(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"Checkpoint cannot write to directory={str(directory)!r}: {error.strerror or error}. "
            "An earlier checkpoint there is as it was. Free space there, or pass a directory that "
            "can be written to, and fit again",
        ) from error


def check_resumable(random_state: Any, *, single_pass: bool) -> None:
    """ValueError where a training with checkpoints, started again, could not be the same one."""
    if single_pass:
        raise ValueError(
            "callbacks: Checkpoint resumes fit; partial_fit makes a single pass, which has "
            "nothing to resume. Save the estimator between calls of partial_fit instead."
        )
    if random_state is None:
        raise ValueError(
            "callbacks: Checkpoint needs random_state as an int, got random_state=None: a "
            "training with other random numbers cannot go on from it. Set random_state=0."
        )


def split_checkpoints(callbacks: Sequence[Any] | None) -> tuple[list[Any], list[Checkpoint]]:
    """A user's callbacks, some of them pairs of name and callback: the others, the checkpoints.

    Raises
    ------
    TypeError
        If one is no callback of skorch.
    """
    others: list[Any] = []
    checkpoints: list[Checkpoint] = []
    for entry in callbacks or ():
        callback = entry[1] if isinstance(entry, tuple) and len(entry) == 2 else entry
        cls = callback if isinstance(callback, type) else type(callback)
        if not issubclass(cls, Callback):
            raise TypeError(
                "callbacks must be a list of callbacks of skorch, or pairs of name and callback, "
                f"got {entry!r} in it. Callbacks of scikit-learn are passed to set_callbacks."
            )
        if isinstance(callback, Checkpoint):
            checkpoints.append(callback)
        else:
            others.append(entry)
    return others, checkpoints

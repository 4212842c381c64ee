"""What ties a training on one worker to the others, and to the client."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from skorch.callbacks import Callback

from sklearn_aae._rows.group import Group
from sklearn_aae._training.state import restore_training, training_state
from sklearn_aae._workers.averaging import PeerLost

# From one report to the next: an epoch may take milliseconds.
_SECONDS = 1.0


class Stopped(PeerLost):
    """Nobody waits for the training any more."""


class Relay(Callback):
    """Begins where a training that was lost had been, reports, and ends where nobody listens.

    Parameters
    ----------
    state : dict or None
        Of a training, after one of its epochs.
    group : Group
        Who trains together.
    report : callable or None
        Called with the last epoch's row of the history and the state, about once a second.
    is_wanted : callable
        Whether somebody waits for the training; asked about once a second.
    """

    def __init__(
        self,
        state: dict[str, Any] | None,
        group: Group,
        report: Callable[[dict[str, Any], dict[str, Any]], None] | None,
        is_wanted: Callable[[], bool],
    ) -> None:
        self.state = state
        self.group = group
        self.report = report
        self.is_wanted = is_wanted

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self._reported = self._asked = time.monotonic()
        n_before = len(net.history)
        if self.state is not None:
            restore_training(net, self.state)
            net.n_epochs_resumed_ = len(net.history) - n_before
        self._n_planned = n_before + net.max_epochs

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Let members draw differently, and the same after they had to begin anew."""
        if self.group.size > 1:
            seeds = np.random.SeedSequence([net.seed, self.group.rank, len(net.history)])
            order, draws = (int(seed) for seed in seeds.generate_state(2))
            net.order_generator_.manual_seed(order)
            net.generator_.manual_seed(draws)

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        now = time.monotonic()
        if now - self._asked < _SECONDS:
            return
        self._asked = now
        if not self.is_wanted():
            raise Stopped("The client does not wait for this training any more.")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        now, is_last = time.monotonic(), len(net.history) >= self._n_planned
        if self.report is None or (now - self._reported < _SECONDS and not is_last):
            return
        self._reported = now
        row = {k: v for k, v in net.history[-1].items() if isinstance(v, (int, float))}
        self.report(row, training_state(net))

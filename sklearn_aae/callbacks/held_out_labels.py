"""How well held-out labels are predicted, epoch by epoch."""

from __future__ import annotations

import math
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_aae._training.terms import Classification


class HeldOutLabels(Callback):
    """Loss of held-out labels, recorded each epoch as ``"valid_classification_loss"``.

    The mean of the training's own loss over the held-out rows that have a label, in nats.

    Parameters
    ----------
    term : Classification
        The training's loss.
    n_classes : int
        Of which `unit` is the loss where nothing is known of the class.
    """

    def __init__(self, term: Classification, n_classes: int) -> None:
        self.term = term
        self.n_classes = n_classes

    @property
    def unit(self) -> float:
        """Loss of equal probabilities in nats; 1 where there is one class, whose loss is 0."""
        return math.log(self.n_classes) or 1.0

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self._losses: list[Tensor] = []

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool | None = None, **kwargs: Any
    ) -> None:
        if not training:
            y = batch[1]["y"]
            self._losses.append(self.term.of_rows(kwargs["categories"], y)[y >= 0])

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self._losses:
            loss = torch.cat(self._losses).double().mean()
            net.history.record("valid_classification_loss", loss.item())
            self._losses = []

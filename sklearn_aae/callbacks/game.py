"""The game between encoder and discriminators, as a callback of the training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_aae._training.critics import Critic
from sklearn_aae._training.gradients import clear_gradients, gradients
from sklearn_aae._training.net import TrainingDiverged

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
            trained = net.discriminators_.parameters()
            recorded = net.group.average(gradients(trained), recorded, clean=True)
            net.discriminator_optimizer_.step()
        return recorded

    def fooling_losses(
        self, net: Any, codes: Tensor, targets: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The encoder's loss for every critic that takes part, before the critic's weight."""
        losses = {
            critic.name: critic.fooling_loss(
                net.discriminators_[critic.name],
                critic.part(codes),
                net.generator_,
                y=targets.get("y"),
                weight=targets.get("sample_weight"),
            )
            for critic in self.active
        }
        balance = net.group.balance
        return losses if balance == 1 else {name: balance * v for name, v in losses.items()}

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

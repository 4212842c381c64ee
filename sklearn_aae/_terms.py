"""What an autoencoder minimises besides reconstruction and the critics, as losses by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sklearn_aae._critics import weighted_mean

__all__ = ["Classification", "Separation", "cross_entropy"]


def cross_entropy(probabilities: Tensor, y: Tensor) -> Tensor:
    """-log of the probability (n, n_classes) of the class y (n,) of each row, in nats, (n,)."""
    own = probabilities.gather(1, y[:, None]).squeeze(1)
    return -own.clamp(min=torch.finfo(own.dtype).tiny).log()


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of the category head on labelled rows (Makhzani et al., 2015, section 4).

    Parameters
    ----------
    weight : float
        Factor in the autoencoder's objective.
    """

    weight: float
    name: str = "classification"

    def __call__(
        self, net: Any, x: Tensor, codes: Tensor, targets: dict[str, Any]
    ) -> Tensor:
        """Loss on the labelled rows that come with the batch, or on those of the batch itself."""
        autoencoder = net.module_
        if "labelled" in targets:
            x, targets = targets["labelled"]
            codes = autoencoder.encode(net.corrupted(x, len(x)), net.generator_)
        loss = cross_entropy(codes[:, autoencoder.n_components :], targets["y"])
        return weighted_mean(loss, targets.get("sample_weight"))


@dataclass(frozen=True)
class Separation:
    """Pushes cluster heads apart that are nearer than a distance (Makhzani et al., 2015, section 7).

    Parameters
    ----------
    weight : float
        Factor in the autoencoder's objective.
    distance : float
        Heads further apart than this cost nothing.
    """

    weight: float
    distance: float
    name: str = "separation"

    def __call__(
        self, net: Any, x: Tensor, codes: Tensor, targets: dict[str, Any]
    ) -> Tensor:
        """Mean over pairs of heads of the squared shortfall, as a share of the distance."""
        return (1 - torch.pdist(net.module_.heads) / self.distance).clamp(min=0).square().mean()

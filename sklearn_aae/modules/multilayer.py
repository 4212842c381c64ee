"""Dense networks, and what all networks start from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.utils import skip_init

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def initialize(layers: nn.Module, generator: torch.Generator | None) -> None:
    """Draw weights for all linear and convolutional layers.

    He et al. (2015) for layers followed by an activation; a tenth of Glorot and Bengio (2010) for
    the output, so that training starts from about zero: the column means, codes near the centre,
    an undecided discriminator. The generator is local: torch's global one stays as it was.
    """
    weighted: list[Any] = [m for m in layers.modules() if hasattr(m, "weight")]
    for layer in weighted[:-1]:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
    nn.init.xavier_uniform_(weighted[-1].weight, gain=0.1, generator=generator)
    for layer in weighted:
        nn.init.zeros_(layer.bias)


def make_layer(kind: type[nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
    """Layer on the CPU whose weights are not set; without memory under ``torch.device("meta")``."""
    device = "meta" if torch.get_default_device().type == "meta" else "cpu"
    return skip_init(kind, *args, device=device, **kwargs)


def make_activation(name: str) -> nn.Module:
    """Layer of an activation."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {name!r}.")
    return ACTIVATIONS[name]()


def dense(sizes: Sequence[int], activation: str, *, activate_last: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [make_layer(nn.Linear, n_in, n_out), make_activation(activation)]
    return layers if activate_last else layers[:-1]


class MultilayerPerceptron(nn.Sequential):
    """Dense layers with an activation between them and a linear output.

    Parameters
    ----------
    in_features : int
        Width of the input.
    out_features : int
        Width of the output.
    hidden_layer_sizes : sequence of int, default=()
        Widths of the hidden layers; empty for one linear map.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "tanh"}, default="relu"
        Activation after each hidden layer.
    generator : torch.Generator, default=None
        Source of the initial weights; None draws from torch's global generator.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import MultilayerPerceptron
    >>> network = MultilayerPerceptron(5, 2, hidden_layer_sizes=(8,))
    >>> network(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden_layer_sizes: Sequence[int] = (),
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        sizes = [in_features, *hidden_layer_sizes, out_features]
        super().__init__(*dense(sizes, activation, activate_last=False))
        self.in_features = in_features
        self.out_features = out_features
        self.hidden_layer_sizes = tuple(hidden_layer_sizes)
        self.activation = activation
        initialize(self, generator)

"""What files know: classes by name, and nothing else."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from sklearn_aae._learned.codes import CodeDensity
from sklearn_aae._learned.density import Density
from sklearn_aae._learned.flow import Transport
from sklearn_aae._learned.gaps import GapCorrection, Spread
from sklearn_aae._learned.marginals import Marginals
from sklearn_aae._rows.columns import Columns
from sklearn_aae._rows.kinds import Boolean, Category, Moment, Number
from sklearn_aae._rows.likelihoods import LIKELIHOODS
from sklearn_aae._rows.product import Product
from sklearn_aae._rows.sequences import TokenColumns, TokenLikelihood
from sklearn_aae._rows.table import Table
from sklearn_aae._rows.tokens import Characters, Pretrained, Tokens, Words
from sklearn_aae._training.critics import Critic
from sklearn_aae.modules import (
    Autoencoder,
    CategoricalAutoencoder,
    ConditionalAutoencoder,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    EmbeddingAutoencoder,
    GapEncoder,
    MultilayerPerceptron,
    SequenceAutoencoder,
    SequenceDecoder,
    SequenceEncoder,
)
from sklearn_aae.priors import PRIORS, Categorical, Empirical, Joint

# What a constructor only stores: building one of these runs nothing.
OBJECTS: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        *(*PRIORS.values(), Categorical, Empirical, Joint),
        *LIKELIHOODS.values(),
        *(Columns, Critic, Density, CodeDensity),
        *(TokenColumns, TokenLikelihood, Tokens, Characters, Pretrained, Words),
        *(Product, Table, Boolean, Category, Moment, Number, Spread, GapCorrection, Marginals),
    )
}

NETWORKS: dict[str, type[nn.Module]] = {
    cls.__name__: cls
    for cls in (
        *(Autoencoder, CategoricalAutoencoder, ConditionalAutoencoder, EmbeddingAutoencoder),
        *(ConvolutionalDecoder, ConvolutionalEncoder, MultilayerPerceptron, Transport),
        *(GapEncoder, SequenceAutoencoder, SequenceDecoder, SequenceEncoder),
    )
}

# Classes that are values themselves: optimisers, and our networks as builders of networks.
CLASSES: dict[str, type] = {
    **{
        f"torch.optim.{name}": cls
        for name, cls in vars(torch.optim).items()
        if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)
    },
    **{f"sklearn_aae.modules.{name}": cls for name, cls in NETWORKS.items()},
}
CLASS_NAMES = {cls: name for name, cls in CLASSES.items()}

# Scalars of NumPy by the name of their dtype, and the type that carries their value.
SCALARS: dict[str, type] = {
    "bool": bool,
    **{f"{sign}int{bits}": int for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": float for bits in (16, 32, 64)},
    "str": str,
}
SCALAR_NAMES = {np.dtype(name).type: name for name in SCALARS}

# Parameters and states of today are at most 8 deep; a list that contains itself has no end.
MAX_DEPTH = 32


class CustomNetwork(NamedTuple):
    """A network of the user: which parameter it belongs to, and the widths it was built for."""

    role: str
    in_features: int
    out_features: int


def short(key: Any) -> str:
    """A key for an error message; what is in it may be of any length."""
    return repr(key)[:40]


def arguments_of(cls: Any) -> list[str]:
    """Arguments of a constructor that say what is built; a generator only fills it."""
    return [name for name in inspect.signature(cls).parameters if name != "generator"]

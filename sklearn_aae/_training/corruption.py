"""What the encoder sees in training instead of a row: noise, missing cells, dropped tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sklearn_aae.modules import GapEncoder, SequenceAutoencoder
from sklearn_aae.modules.sequences import dropped


def hides_cells(autoencoder: Any) -> bool:
    """Whether the networks are to learn to fill cells in."""
    return isinstance(autoencoder.encoder, GapEncoder)


def corrupted(
    x: Tensor, n_rows: int, noise: float, autoencoder: Any, generator: torch.Generator
) -> Tensor:
    """Rows x with noise added to the first n_rows of them, and cells hidden in a table.

    Of sequences, noise is the share of tokens that are dropped.
    """
    hides = hides_cells(autoencoder)
    if n_rows == 0 or not (noise > 0 or hides):
        return x
    noisy = x[:n_rows]
    if isinstance(autoencoder, SequenceAutoencoder):
        return torch.cat([dropped(noisy, noise, generator), x[n_rows:]])
    if noise > 0:
        eta = torch.randn((n_rows, x.shape[1]), generator=generator, device=x.device)
        noisy = torch.add(noisy, eta, alpha=noise)
    if hides:
        noisy = autoencoder.encoder.hidden(noisy, generator)
    return torch.cat([noisy, x[n_rows:]])

"""From parameters to networks of sequences of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_aae._training.critics import Critic
from sklearn_aae._training.networks import make_discriminators, make_network
from sklearn_aae.modules import SequenceAutoencoder, SequenceDecoder, SequenceEncoder


def make_sequence_networks(
    log_frequencies: np.ndarray,
    n_components: int,
    critics: Sequence[Critic],
    *,
    encoder: Any,
    decoder: Any,
    discriminator: Any,
    embedding_size: int,
    hidden_size: int,
    posterior: str,
    longest: int,
    seed: int,
) -> tuple[SequenceAutoencoder, nn.ModuleDict]:
    """Autoencoder of sequences and one discriminator for each critic: the user's, or built.

    A built decoder starts from the frequencies of the tokens, whose logarithms are passed.
    """
    n_tokens = len(log_frequencies)
    generator = torch.Generator().manual_seed(seed)

    def build_encoder(n_in: int, n_out: int) -> nn.Module:
        # Both directions together are as wide as the decoder.
        each = max(1, hidden_size // 2)
        return SequenceEncoder(n_in, n_out, embedding_size, each, generator)

    def build_decoder(n_in: int, n_out: int) -> nn.Module:
        made = SequenceDecoder(n_in, n_out, embedding_size, hidden_size, generator)
        with torch.no_grad():
            made.bias.copy_(torch.from_numpy(log_frequencies))
        return made

    n_codes = 2 * n_components if posterior == "gaussian" else n_components
    autoencoder = SequenceAutoencoder(
        make_network("encoder", encoder, build_encoder, n_tokens, n_codes),
        make_network("decoder", decoder, build_decoder, n_components, n_tokens),
        n_components,
        posterior,
        n_tokens=n_tokens,
        longest=longest,
    )
    return autoencoder, make_discriminators(critics, n_components, discriminator, generator)

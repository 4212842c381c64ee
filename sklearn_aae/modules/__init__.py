"""Encoder, decoder and discriminator networks, and the autoencoder made of two of them.

Every network keeps the arguments it was built with as attributes of the same name, as estimators
do, so that `sklearn_aae.save` stores how to build it again.
"""

from sklearn_aae.modules.autoencoders import (
    Autoencoder,
    CategoricalAutoencoder,
    ConditionalAutoencoder,
    EmbeddingAutoencoder,
)
from sklearn_aae.modules.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from sklearn_aae.modules.gaps import GapEncoder
from sklearn_aae.modules.multilayer import ACTIVATIONS, MultilayerPerceptron
from sklearn_aae.modules.sequences import (
    END,
    N_SPECIAL_TOKENS,
    PADDING,
    UNKNOWN,
    SequenceAutoencoder,
    SequenceDecoder,
    SequenceEncoder,
)

__all__ = [
    "ACTIVATIONS",
    "END",
    "N_SPECIAL_TOKENS",
    "PADDING",
    "UNKNOWN",
    "Autoencoder",
    "CategoricalAutoencoder",
    "ConditionalAutoencoder",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "EmbeddingAutoencoder",
    "GapEncoder",
    "MultilayerPerceptron",
    "SequenceAutoencoder",
    "SequenceDecoder",
    "SequenceEncoder",
]

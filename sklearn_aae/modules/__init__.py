"""Encoder, decoder and discriminator networks, and the autoencoder made of two of them."""

from sklearn_aae.modules.modules import (
    ACTIVATIONS,
    Autoencoder,
    CategoricalAutoencoder,
    ConditionalAutoencoder,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    EmbeddingAutoencoder,
    MultilayerPerceptron,
)

__all__ = [
    "ACTIVATIONS",
    "Autoencoder",
    "CategoricalAutoencoder",
    "ConditionalAutoencoder",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "EmbeddingAutoencoder",
    "MultilayerPerceptron",
]

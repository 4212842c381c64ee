"""Encoder, decoder and discriminator networks, and the autoencoder made of two of them.

Every network keeps the arguments it was built with as attributes of the same name, as estimators
do, so that `sklearn_aae.save` stores how to build it again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

__all__ = [
    "ACTIVATIONS",
    "Autoencoder",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "MultilayerPerceptron",
]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def _initialize(layers: nn.Module, generator: torch.Generator | None) -> None:
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


def _layer(kind: type[nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
    """Layer on the CPU whose weights are not set; without memory under ``torch.device("meta")``."""
    device = "meta" if torch.get_default_device().type == "meta" else "cpu"
    return skip_init(kind, *args, device=device, **kwargs)


def _dense(sizes: Sequence[int], activation: str, *, activate_last: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [_layer(nn.Linear, n_in, n_out), ACTIVATIONS[activation]()]
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
        super().__init__(*_dense(sizes, activation, activate_last=False))
        self.in_features = in_features
        self.out_features = out_features
        self.hidden_layer_sizes = tuple(hidden_layer_sizes)
        self.activation = activation
        _initialize(self, generator)


# Two halvings of the resolution keep a 28 x 28 digit at 7 x 7 before the dense layers; the widths
# keep a training step on a CPU within a small multiple of the dense network's.
_CHANNELS = (16, 32)


def _halved(size: int) -> int:
    """Size after a convolution with kernel 3, stride 2, padding 1: the half, rounded up."""
    return math.ceil(size / 2)


def _pyramid(image_shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Shapes (channels, height, width) from the image to the innermost feature maps."""
    shapes = [image_shape]
    for channels in _CHANNELS:
        _, height, width = shapes[-1]
        shapes.append((channels, _halved(height), _halved(width)))
    return shapes


class ConvolutionalEncoder(nn.Module):
    """Images, flattened to rows, to codes: strided convolutions, then dense layers.

    Parameters
    ----------
    image_shape : tuple of three int
        (channels, height, width); any height and width, also odd ones.
    out_features : int
        Width of the output.
    hidden_layer_sizes : sequence of int, default=()
        Widths of the dense layers between the feature maps and the output.
    activation : str, default="relu"
        A key of `ACTIVATIONS`.
    n_noise : int, default=0
        Further columns of the input, after the pixels, that join behind the convolutions.
    generator : torch.Generator, default=None
        Source of the initial weights; None draws from torch's global generator.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import ConvolutionalEncoder
    >>> encoder = ConvolutionalEncoder((1, 5, 7), out_features=2)
    >>> encoder(torch.zeros(3, 35)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        out_features: int,
        hidden_layer_sizes: Sequence[int] = (),
        activation: str = "relu",
        n_noise: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        shapes = _pyramid(image_shape)
        self.image_shape = tuple(image_shape)
        self.out_features = out_features
        self.hidden_layer_sizes = tuple(hidden_layer_sizes)
        self.activation = activation
        self.n_noise = n_noise
        self.n_pixels = math.prod(image_shape)
        convolutions: list[nn.Module] = []
        for (c_in, _, _), (c_out, _, _) in pairwise(shapes):
            layer = _layer(nn.Conv2d, c_in, c_out, kernel_size=3, stride=2, padding=1)
            convolutions += [layer, ACTIVATIONS[activation]()]
        self.convolutions = nn.Sequential(*convolutions, nn.Flatten())
        sizes = [math.prod(shapes[-1]) + n_noise, *hidden_layer_sizes, out_features]
        self.dense = nn.Sequential(*_dense(sizes, activation, activate_last=False))
        _initialize(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        pixels, noise = x[:, : self.n_pixels], x[:, self.n_pixels :]
        maps = self.convolutions(pixels.reshape(-1, *self.image_shape))
        return self.dense(torch.cat([maps, noise], dim=1))


class ConvolutionalDecoder(nn.Module):
    """Codes to images, flattened to rows: the mirror of `ConvolutionalEncoder`.

    Parameters
    ----------
    in_features : int
        Width of the input.
    image_shape : tuple of three int
        (channels, height, width) of the output before flattening.
    hidden_layer_sizes : sequence of int, default=()
        Widths of the dense layers between the input and the feature maps.
    activation : str, default="relu"
        A key of `ACTIVATIONS`.
    generator : torch.Generator, default=None
        Source of the initial weights; None draws from torch's global generator.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import ConvolutionalDecoder
    >>> decoder = ConvolutionalDecoder(2, (1, 5, 7))
    >>> decoder(torch.zeros(3, 2)).shape
    torch.Size([3, 35])
    """

    def __init__(
        self,
        in_features: int,
        image_shape: tuple[int, int, int],
        hidden_layer_sizes: Sequence[int] = (),
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.image_shape = tuple(image_shape)
        self.hidden_layer_sizes = tuple(hidden_layer_sizes)
        self.activation = activation
        shapes = _pyramid(image_shape)[::-1]
        sizes = [in_features, *hidden_layer_sizes, math.prod(shapes[0])]
        layers = _dense(sizes, activation, activate_last=True)
        layers.append(nn.Unflatten(1, shapes[0]))
        for (c_in, h_in, w_in), (c_out, h_out, w_out) in pairwise(shapes):
            # A transposed convolution with these settings doubles a size less one; the output
            # padding makes up what rounding up in the encoder took.
            padding = (h_out - (2 * h_in - 1), w_out - (2 * w_in - 1))
            layers += [
                _layer(
                    nn.ConvTranspose2d,
                    c_in,
                    c_out,
                    kernel_size=3,
                    stride=2,
                    padding=1,
                    output_padding=padding,
                ),
                ACTIVATIONS[activation](),
            ]
        self.layers = nn.Sequential(*layers[:-1], nn.Flatten())
        _initialize(self, generator)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class Autoencoder(nn.Module):
    """An encoder and a decoder, and how the encoder's output becomes a code.

    The three posteriors q(z|x) of Makhzani et al. (2015), section 2.1:

    - ``"deterministic"``: z = f(x);
    - ``"gaussian"``: z = mu(x) + sigma(x) * eta, the encoder's output being mu and log sigma;
    - ``"implicit"``: z = f(x, eta), the noise eta being further input columns;

    with eta from N(0, I) of the width of the code.

    The encoder sees rows within the range of the training data: a value further out is moved to
    the border for it. Networks say nothing sensible of regions they never saw, and a column that
    never varied must not move codes. What was cut off stays in the residual.

    Parameters
    ----------
    encoder : nn.Module
        From rows to codes: (n, n_features), or (n, n_features + n_components) where the posterior
        is implicit, to (n, n_components), or (n, 2 * n_components) where it is Gaussian.
    decoder : nn.Module
        From codes (n, n_components) to (n, n_features).
    n_components : int
        Width of the code.
    posterior : {"deterministic", "gaussian", "implicit"}, default="deterministic"
        What the encoder's output means.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import Autoencoder, MultilayerPerceptron
    >>> autoencoder = Autoencoder(
    ...     MultilayerPerceptron(5, 4), MultilayerPerceptron(2, 5), 2, posterior="gaussian"
    ... )
    >>> autoencoder.encode(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        n_components: int,
        posterior: str = "deterministic",
    ) -> None:
        super().__init__()
        self.lower: Tensor
        self.upper: Tensor
        self.register_buffer("lower", torch.tensor(-math.inf))
        self.register_buffer("upper", torch.tensor(math.inf))
        self.encoder = encoder
        self.decoder = decoder
        self.n_components = n_components
        self.posterior = posterior

    @staticmethod
    def encoder_widths(n_features: int, n_components: int, posterior: str) -> tuple[int, int]:
        """Input and output width that a posterior asks of the encoder."""
        n_in = n_features + n_components if posterior == "implicit" else n_features
        n_out = 2 * n_components if posterior == "gaussian" else n_components
        return n_in, n_out

    def extend_range(self, lower: Tensor, upper: Tensor) -> None:
        """Let the encoder see values between these too, each tensor (n_features,)."""
        first = self.lower.ndim == 0
        lower, upper = lower.to(self.lower), upper.to(self.upper)
        self.lower = lower if first else torch.minimum(self.lower, lower)
        self.upper = upper if first else torch.maximum(self.upper, upper)

    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Codes of x: a draw from q(z|x) with a generator, its centre (eta = 0) without."""
        x = x.clamp(self.lower, self.upper)
        if self.posterior == "deterministic":
            return self.encoder(x)
        shape = (len(x), self.n_components)
        if generator is None:
            eta = x.new_zeros(shape)
        else:
            eta = torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)
        if self.posterior == "implicit":
            return self.encoder(torch.cat([x, eta], dim=1))
        mu, log_sigma = self.encoder(x).chunk(2, dim=1)
        return mu if generator is None else mu + log_sigma.exp() * eta

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))

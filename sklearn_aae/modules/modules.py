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
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

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
        A key of ``ACTIVATIONS``.
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
        A key of ``ACTIVATIONS``.
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


def _full_precision(codes: Tensor) -> torch.autocast:
    """Context without bfloat16, in which an inverse would not be one."""
    return torch.autocast(codes.device.type, enabled=False)


class Autoencoder(nn.Module):
    """An encoder and a decoder, and how the encoder's output becomes a code.

    Subclasses differ in what a code is and in what the decoder sees of it.

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
    n_classes : int, default=0
        Number of classes, for the subclasses.
    generator : torch.Generator, default=None
        Source of further initial weights, for the subclasses; None draws from torch's global
        generator.
    flow : nn.Module, default=None
        Invertible map from what is said above to codes, with a method `inverse`. The decoder sees
        what it undoes. None for none; the subclasses have none.

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
        n_classes: int = 0,
        generator: torch.Generator | None = None,
        flow: nn.Module | None = None,
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
        self.n_classes = n_classes
        self.flow: Any = flow

    @staticmethod
    def encoder_widths(
        n_features: int, n_components: int, posterior: str, n_classes: int = 0
    ) -> tuple[int, int]:
        """Input and output width that a posterior asks of the encoder."""
        n_in = n_features + n_components if posterior == "implicit" else n_features
        n_out = 2 * n_components if posterior == "gaussian" else n_components
        return n_in, n_out

    @staticmethod
    def decoder_width(n_components: int, n_classes: int = 0) -> int:
        """Input width of the decoder."""
        return n_components

    def extend_range(self, lower: Tensor, upper: Tensor) -> None:
        """Let the encoder see values between these too, each tensor (n_features,)."""
        first = self.lower.ndim == 0
        lower, upper = lower.to(self.lower), upper.to(self.upper)
        self.lower = lower if first else torch.minimum(self.lower, lower)
        self.upper = upper if first else torch.maximum(self.upper, upper)

    def encode(
        self,
        x: Tensor,
        generator: torch.Generator | None = None,
        *,
        bounded: bool = True,
        mapped: bool = True,
    ) -> Tensor:
        """Codes of x: a draw from q(z|x) with a generator, its centre (eta = 0) without.

        The encoder sees values of x beyond the training range only where it is not `bounded`; the
        flow is left out where codes are not `mapped`.
        """
        if bounded:
            x = x.clamp(self.lower, self.upper)
        if self.posterior == "implicit":
            x = torch.cat([x, self._eta(x, generator)], dim=1)
        # In the dtype of x also where the encoder computes in bfloat16.
        codes = self._codes(self.encoder(x).to(x.dtype), generator)
        if self.flow is None or not mapped:
            return codes
        with _full_precision(codes):
            return self.flow(codes)

    def _codes(self, output: Tensor, generator: torch.Generator | None) -> Tensor:
        """From the encoder's output to codes."""
        if self.posterior != "gaussian":
            return output
        mu, log_sigma = output.chunk(2, dim=1)
        return mu + log_sigma.exp() * self._eta(mu, generator)

    def _eta(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Noise of the posterior, (n, n_components), for n rows: its centre without a generator."""
        shape = (len(like), self.n_components)
        if generator is None:
            return like.new_zeros(shape)
        return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    def decode(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        """The decoder's output for codes, of the classes y where the decoder sees them."""
        if self.flow is not None:
            with _full_precision(codes):
                codes = self.flow.inverse(codes)
        return self.decoder(codes)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class CategoricalAutoencoder(Autoencoder):
    """Codes of two parts: a style z, and the probabilities q(y|x) of classes.

    The encoder has a linear head for z and a softmax head for y on a common trunk; the decoder sees
    both side by side (Makhzani et al., 2015, section 4).

    Parameters
    ----------
    encoder : nn.Module
        As for `Autoencoder`, with n_classes more columns in its output: the logits of the classes.
    decoder : nn.Module
        From (n, n_components + n_classes) to (n, n_features).
    n_components : int
        Width of the style.
    posterior : {"deterministic", "gaussian", "implicit"}, default="deterministic"
        What the encoder's output for the style means.
    n_classes : int
        Number of classes.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import CategoricalAutoencoder, MultilayerPerceptron
    >>> autoencoder = CategoricalAutoencoder(
    ...     MultilayerPerceptron(5, 2 + 3), MultilayerPerceptron(2 + 3, 5), 2, n_classes=3
    ... )
    >>> autoencoder.encode(torch.zeros(4, 5)).shape
    torch.Size([4, 5])
    """

    @staticmethod
    def encoder_widths(
        n_features: int, n_components: int, posterior: str, n_classes: int = 0
    ) -> tuple[int, int]:
        n_in, n_out = Autoencoder.encoder_widths(n_features, n_components, posterior)
        return n_in, n_out + n_classes

    @staticmethod
    def decoder_width(n_components: int, n_classes: int = 0) -> int:
        return n_components + n_classes

    def _codes(self, output: Tensor, generator: torch.Generator | None) -> Tensor:
        style, logits = output[:, : -self.n_classes], output[:, -self.n_classes :]
        return torch.cat([super()._codes(style, generator), logits.softmax(dim=1)], dim=1)


class EmbeddingAutoencoder(CategoricalAutoencoder):
    """A categorical autoencoder whose decoder sees one vector for both parts, W q(y|x) + z.

    The columns of W, one for each class, are the cluster heads: points in the space of the style
    around which the rows of a cluster lie (Makhzani et al., 2015, section 7).

    Parameters
    ----------
    encoder : nn.Module
        As for `CategoricalAutoencoder`.
    decoder : nn.Module
        From (n, n_components) to (n, n_features).
    n_components : int
        Width of style and embedding.
    posterior : {"deterministic", "gaussian", "implicit"}, default="deterministic"
        What the encoder's output for the style means.
    n_classes : int
        Number of clusters.
    generator : torch.Generator, default=None
        Source of the initial heads; None draws from torch's global generator.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import EmbeddingAutoencoder, MultilayerPerceptron
    >>> autoencoder = EmbeddingAutoencoder(
    ...     MultilayerPerceptron(5, 2 + 3), MultilayerPerceptron(2, 5), 2, n_classes=3
    ... )
    >>> autoencoder.embed(autoencoder.encode(torch.zeros(4, 5))).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        n_components: int,
        posterior: str = "deterministic",
        n_classes: int = 0,
        generator: torch.Generator | None = None,
        flow: nn.Module | None = None,
    ) -> None:
        super().__init__(encoder, decoder, n_components, posterior, n_classes, flow=flow)
        self.heads = nn.Parameter(torch.randn((n_classes, n_components), generator=generator))

    @staticmethod
    def decoder_width(n_components: int, n_classes: int = 0) -> int:
        return n_components

    def embed(self, codes: Tensor) -> Tensor:
        """Points W y + z (n, n_components) of codes (n, n_components + n_classes)."""
        z, y = codes[:, : self.n_components], codes[:, self.n_components :]
        return z + y @ self.heads

    def decode(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decoder(self.embed(codes))


class ConditionalAutoencoder(Autoencoder):
    """An autoencoder whose decoder is told the class: the code has to hold only the style.

    Makhzani et al. (2015), section 3.

    Parameters
    ----------
    encoder : nn.Module
        As for `Autoencoder`.
    decoder : nn.Module
        From (n, n_components + n_classes), the style and the one-hot class, to (n, n_features).
    n_components : int
        Width of the style.
    posterior : {"deterministic", "gaussian", "implicit"}, default="deterministic"
        What the encoder's output means.
    n_classes : int
        Number of classes.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import ConditionalAutoencoder, MultilayerPerceptron
    >>> autoencoder = ConditionalAutoencoder(
    ...     MultilayerPerceptron(5, 2), MultilayerPerceptron(2 + 3, 5), 2, n_classes=3
    ... )
    >>> autoencoder.decode(torch.zeros(4, 2), torch.tensor([0, 1, 2, 0])).shape
    torch.Size([4, 5])
    """

    @staticmethod
    def decoder_width(n_components: int, n_classes: int = 0) -> int:
        return n_components + n_classes

    def decode(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        if y is None:
            raise ValueError("A conditional autoencoder needs classes y to decode.")
        return self.decoder(torch.cat([codes, F.one_hot(y, self.n_classes).to(codes)], dim=1))

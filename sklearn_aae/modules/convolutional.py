"""Networks of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sklearn_aae.modules.multilayer import dense, initialize, make_activation, make_layer

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
            layer = make_layer(nn.Conv2d, c_in, c_out, kernel_size=3, stride=2, padding=1)
            convolutions += [layer, make_activation(activation)]
        self.convolutions = nn.Sequential(*convolutions, nn.Flatten())
        sizes = [math.prod(shapes[-1]) + n_noise, *hidden_layer_sizes, out_features]
        self.dense = nn.Sequential(*dense(sizes, activation, activate_last=False))
        initialize(self, generator)

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
        layers = dense(sizes, activation, activate_last=True)
        layers.append(nn.Unflatten(1, shapes[0]))
        for (c_in, h_in, w_in), (c_out, h_out, w_out) in pairwise(shapes):
            # A transposed convolution with these settings doubles a size less one; the output
            # padding makes up what rounding up in the encoder took.
            padding = (h_out - (2 * h_in - 1), w_out - (2 * w_in - 1))
            layers += [
                make_layer(
                    nn.ConvTranspose2d,
                    c_in,
                    c_out,
                    kernel_size=3,
                    stride=2,
                    padding=1,
                    output_padding=padding,
                ),
                make_activation(activation),
            ]
        self.layers = nn.Sequential(*layers[:-1], nn.Flatten())
        initialize(self, generator)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)

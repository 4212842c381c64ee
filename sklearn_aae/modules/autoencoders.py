"""An encoder and a decoder joined: what a code is, and what the decoder sees of it."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _full_precision(codes: Tensor) -> torch.autocast:
    """Context without bfloat16, in which an inverse would not be one."""
    return torch.autocast(codes.device.type, enabled=False)


def _probabilities(logits: Tensor) -> Tensor:
    """Softmax whose smallest probabilities have a logarithm, with the gradient of the logits.

    Those of float32 end 103 nats below the largest; a loss of their logarithms would not move a row
    that is so sure of the wrong class. Far enough above the smallest number that there is, for
    weights of classes to be multiplied with, they stay at one value and have the gradient of log q.
    """
    q, log_q = logits.softmax(dim=1), logits.log_softmax(dim=1)
    lowest = 0.9 * math.log(torch.finfo(logits.dtype).tiny)
    # The difference is zero to the bit, however large the logarithms.
    smallest = (lowest + (log_q - log_q.detach())).exp()
    return torch.where(log_q < lowest, smallest, q)


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
        shape = (like.shape[0], self.n_components)
        if generator is None:
            return like.new_zeros(shape)
        return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    def decode(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        """The decoder's output for codes, of the classes y where the decoder sees them."""
        if self.flow is not None:
            with _full_precision(codes):
                codes = self.flow.inverse(codes)
        return self._decode(codes, y)

    def _decode(self, codes: Tensor, y: Tensor | None) -> Tensor:
        """The decoder's output for codes as they are before a flow."""
        return self.decoder(codes)

    def reconstruct(self, x: Tensor, *, bounded: bool = True) -> Tensor:
        """The decoder's output for the codes of x, without a flow and its inverse.

        The encoder sees values of x beyond the training range only where it is not `bounded`.
        """
        return self._decode(self.encode(x, bounded=bounded, mapped=False), None)

    def predicted(
        self,
        codes: Tensor,
        x: Tensor,
        y: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """What a likelihood compares with rows x, for their codes: the decoder's output.

        Decoders of sequences see x too, each token before they are to say it; training hands over
        a generator.
        """
        return self.decode(codes, y)

    @property
    def n_inputs(self) -> int:
        """What the networks are built for: the width of rows."""
        return len(self.lower)

    def forward(self, x: Tensor) -> Tensor:
        return self.reconstruct(x)


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
        return torch.cat([super()._codes(style, generator), _probabilities(logits)], dim=1)


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

    def _decode(self, codes: Tensor, y: Tensor | None) -> Tensor:
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

    def _decode(self, codes: Tensor, y: Tensor | None) -> Tensor:
        if y is None:
            raise ValueError("A conditional autoencoder needs classes y to decode.")
        return self.decoder(torch.cat([codes, F.one_hot(y, self.n_classes).to(codes)], dim=1))

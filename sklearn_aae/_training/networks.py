"""From parameters to networks: check shapes, build, and try on one row."""

from __future__ import annotations

import copy
import math
import numbers
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_aae._training.critics import Critic
from sklearn_aae.modules import (
    Autoencoder,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    GapEncoder,
    MultilayerPerceptron,
    SequenceAutoencoder,
)

_MIN_WIDTH, _MAX_WIDTH = 64, 256

# Codes have few dimensions; this is enough to tell them from the prior.
_DISCRIMINATOR_LAYERS = (128, 128)

# A user's network may draw weights or dropout masks from torch's global generator. That generator
# is then seeded and put back, by one fit at a time.
_GLOBAL_GENERATOR = threading.RLock()


def resolve_device(device: str | torch.device) -> torch.device:
    """Device by name; "auto" is the first GPU, or the CPU without one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f'device={device!r} is not a device of torch: {error}. Use "auto", "cpu" or "cuda".'
        ) from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r} asks for a GPU, but torch.cuda.is_available() is False on this "
            'machine. Use device="auto" or "cpu", or install a CUDA build of torch.'
        )
    try:
        # What training needs there; torch has a kind of error for each kind of device.
        torch.randn(1, generator=torch.Generator(resolved), device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r} cannot be used by this build of torch on this machine: "
            f"{str(error).rstrip('.')}. "
            'Use device="auto" or "cpu".'
        ) from error
    # There is one CPU, whatever its number: a saved model finds it again.
    return torch.device("cpu") if resolved.type == "cpu" else resolved


def resolve_layer_sizes(hidden_layer_sizes: Any, n_features: int) -> tuple[int, ...]:
    """Widths of the encoder's layers; "auto" is twice n_features, as a power of two, then half."""
    if isinstance(hidden_layer_sizes, str) and hidden_layer_sizes == "auto":
        widest = min(max(2 ** math.ceil(math.log2(2 * n_features)), _MIN_WIDTH), _MAX_WIDTH)
        return widest, widest // 2
    sizes = tuple(np.atleast_1d(np.asarray(hidden_layer_sizes, dtype=object)))
    if not all(isinstance(size, numbers.Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be a tuple of positive ints, got {hidden_layer_sizes!r}. "
            "Use () for a linear encoder and decoder."
        )
    return tuple(int(size) for size in sizes)


def check_image_shape(image_shape: Any, n_features: int) -> tuple[int, int, int] | None:
    if image_shape is None:
        return None
    shape = tuple(np.atleast_1d(np.asarray(image_shape, dtype=object)))
    ok = len(shape) == 3 and all(isinstance(s, numbers.Integral) and int(s) > 0 for s in shape)
    if not ok:
        raise ValueError(
            "image_shape must be three positive ints (channels, height, width), got "
            f"{image_shape!r}."
        )
    channels, height, width = (int(s) for s in shape)
    if channels * height * width != n_features:
        raise ValueError(
            f"image_shape={shape} stands for {channels * height * width} values in a row, but X "
            f"has n_features={n_features} columns. Make the two equal; X stays 2-D."
        )
    return channels, height, width


def make_networks(
    n_features: int,
    n_components: int,
    critics: Sequence[Critic],
    *,
    encoder: Any,
    decoder: Any,
    discriminator: Any,
    hidden_layer_sizes: Any,
    activation: str,
    image_shape: Any,
    posterior: str,
    seed: int,
    structure: type[Autoencoder] = Autoencoder,
    n_classes: int = 0,
    starts: Sequence[int] | None = None,
) -> tuple[Autoencoder, nn.ModuleDict]:
    """Autoencoder and one discriminator for each critic: the user's, or built for the data.

    The user's discriminator is that of the critic of all codes or of the style, named "prior".

    Where `starts` are given, the first position of each cell in a row, cells may be missing. Built
    multilayer encoders are told which; others see 0 in their place.
    """
    sizes = resolve_layer_sizes(hidden_layer_sizes, n_features)
    shape = check_image_shape(image_shape, n_features)
    n_noise = n_components if posterior == "implicit" else 0
    generator = torch.Generator().manual_seed(seed)

    def build_encoder(n_in: int, n_out: int) -> nn.Module:
        if shape is None:
            return MultilayerPerceptron(n_in, n_out, sizes, activation, generator)
        return ConvolutionalEncoder(shape, n_out, sizes, activation, n_noise, generator)

    def build_decoder(n_in: int, n_out: int) -> nn.Module:
        if shape is None:
            return MultilayerPerceptron(n_in, n_out, sizes[::-1], activation, generator)
        return ConvolutionalDecoder(n_in, shape, sizes[::-1], activation, generator)

    n_in, n_out = structure.encoder_widths(n_features, n_components, posterior, n_classes)
    n_decoded = structure.decoder_width(n_components, n_classes)
    sees_gaps = starts is not None and encoder is None and shape is None
    n_told = len(starts) if starts is not None and sees_gaps else 0
    made = make_network("encoder", encoder, build_encoder, n_in + n_told, n_out)
    autoencoder = structure(
        made if starts is None else GapEncoder(made, starts, n_features, sees_gaps),
        make_network("decoder", decoder, build_decoder, n_decoded, n_features),
        n_components,
        posterior,
        n_classes,
        generator,
    )
    return autoencoder, make_discriminators(critics, n_components, discriminator, generator)


def make_discriminators(
    critics: Sequence[Critic], n_components: int, discriminator: Any, generator: torch.Generator
) -> nn.ModuleDict:
    """One discriminator for each critic; the user's is that of the critic named "prior"."""

    def build(n_in: int, n_out: int) -> nn.Module:
        return MultilayerPerceptron(n_in, n_out, _DISCRIMINATOR_LAYERS, "relu", generator)

    return nn.ModuleDict(
        {
            critic.name: make_network(
                "discriminator",
                discriminator if critic.name == "prior" else None,
                build,
                critic.n_inputs(n_components),
                1,
            )
            for critic in critics
        }
    )


def make_network(
    name: str, value: Any, build: Callable[[int, int], nn.Module], n_in: int, n_out: int
) -> nn.Module:
    """The user's network `value`, as a copy in float32, or a built one where it is None."""
    if value is None:
        return build(n_in, n_out)
    if isinstance(value, nn.Module):
        return copy.deepcopy(value).float()
    try:
        network = copy.deepcopy(value(n_in, n_out))  # the callable may keep what it returns
    except Exception as error:  # a user's callable may raise anything
        raise ValueError(
            f"{name}={value!r} failed when called as {name}({n_in}, {n_out}), which are "
            f"in_features and out_features: {error}. Pass a torch.nn.Module, a class of one, or a "
            "function of these two that returns one."
        ) from error
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"{name}={value!r} must return a torch.nn.Module when called as {name}(in_features="
            f"{n_in}, out_features={n_out}), got {type(network).__name__}."
        )
    return network.float()


def check_networks(
    autoencoder: Autoencoder, discriminators: nn.ModuleDict, critics: Sequence[Critic], x: Tensor
) -> None:
    """Send one standardised row (1, n_features) through every network before any training.

    Or one of tokens, (1, length), where the networks are of sequences.
    """
    k, n_classes = autoencoder.n_components, autoencoder.n_classes
    posterior = autoencoder.posterior
    if isinstance(autoencoder, SequenceAutoencoder):
        tokens, n_out = x.long(), 2 * k if posterior == "gaussian" else k
        columns = "2 * n_components" if posterior == "gaussian" else "n_components"
        _try("encoder", autoencoder.encoder, (tokens,), (1, n_out), columns)
        shape = (1, tokens.shape[1], autoencoder.n_tokens)
        z = x.new_zeros(1, k)
        _try("decoder", autoencoder.decoder, (z, tokens), shape, "length, n_tokens")
        _try_discriminators(discriminators, critics, z)
        return
    n_in, n_out = autoencoder.encoder_widths(x.shape[1], k, posterior, n_classes)
    columns = "2 * n_components" if posterior == "gaussian" else "n_components"
    if n_out > Autoencoder.encoder_widths(x.shape[1], k, posterior)[1]:
        columns += " + n_classes"
    x_in = torch.cat([x, x.new_zeros(1, n_in - x.shape[1])], dim=1)
    _try("encoder", autoencoder.encoder, (x_in,), (1, n_out), columns)
    z = x.new_zeros(1, autoencoder.decoder_width(k, n_classes))
    _try("decoder", autoencoder.decoder, (z,), (1, x.shape[1]), "n_features")
    _try_discriminators(discriminators, critics, x.new_zeros(1, k))


def _try_discriminators(
    discriminators: nn.ModuleDict, critics: Sequence[Critic], z: Tensor
) -> None:
    for critic in critics:
        codes = z.new_zeros(1, critic.n_inputs(z.shape[1]))
        _try("discriminator", discriminators[critic.name], (codes,), (1, 1), "1")


def _try(
    name: str, network: nn.Module, inputs: tuple[Tensor, ...], expected: tuple[int, ...], named: str
) -> None:
    """Send inputs through a network; its output has an `expected` shape, (1, `named`)."""
    shapes = " and ".join(str(tuple(x.shape)) for x in inputs)
    try:
        with torch.no_grad():
            # Eval mode: one row has no batch statistics.
            output = network.eval()(*inputs)
    except Exception as error:  # a user's network may raise anything
        raise ValueError(
            f"{name}: the network failed on an input of shape {shapes}: {error}. Its first layer "
            f"has to take {inputs[0].shape[1]} columns."
        ) from error
    finally:
        network.train()
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != expected:
        raise ValueError(
            f"{name}: for an input of shape {shapes} the output must have shape "
            f"(1, {named}) = {expected}, got {shape}. Change the network's last layer or the "
            "parameter that asks for this width."
        )
    if not bool(torch.isfinite(output).all()):
        raise ValueError(
            f"{name}: the output for the first row holds NaN or infinity. Check the network's "
            "initial weights and its layers for divisions and logarithms."
        )


@contextmanager
def seeded_global_generator(needed: bool, seed: int) -> Iterator[None]:
    """Seed torch's global generator for the networks of a user, and put it back after."""
    if not needed:
        yield
        return
    with _GLOBAL_GENERATOR, torch.random.fork_rng():
        torch.manual_seed(seed)
        yield

"""Networks of a file: ours from their arguments, the user's from the weights alone."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_aae._files.archive import InvalidModelFileError, check_keys, require
from sklearn_aae._learned.flow import Transport
from sklearn_aae.modules import (
    ACTIVATIONS,
    Autoencoder,
    GapEncoder,
    SequenceAutoencoder,
    SequenceDecoder,
    SequenceEncoder,
)
from sklearn_aae.persistence.vocabulary import NETWORKS, CustomNetwork, arguments_of


class NetworkDecoder:
    """How `Decoder` rebuilds networks; what else it rebuilds is its own affair.

    Parameters
    ----------
    build : callable
        From a `CustomNetwork` to the network, in float32, that the user passes for it.
    largest : int
        No width is larger than the number of values that go with it.
    """

    def __init__(self, build: Callable[[CustomNetwork], nn.Module], largest: int) -> None:
        self._build = build
        self._largest = largest

    def decode(self, coded: Any, where: str) -> Any:
        raise AssertionError("Decoder defines decode")

    def _fields(self, cls: Any, coded: Any, where: str) -> dict[str, Any]:
        check_keys(coded, set(arguments_of(cls)), where)
        return {name: self.decode(value, f"{where}.{name}") for name, value in coded.items()}

    def _tensor(self, coded: Any, where: str) -> Tensor:
        raise AssertionError("Decoder defines _tensor")

    def _own_network(self, coded: dict[str, Any], where: str) -> nn.Module:
        name = coded["class"]
        require(isinstance(name, str) and name in NETWORKS, where, f"is unknown: {name!r}")
        cls = NETWORKS[name]
        arguments = self._fields(cls, coded["arguments"], where)
        weights = self._weights(coded, where)
        if issubclass(cls, Autoencoder):
            return self._autoencoder(cls, arguments, weights, coded["frozen"], where)
        if cls is GapEncoder:
            require(not weights and coded["frozen"] == [], where, "has weights of its own")
            return _gap_encoder(arguments, where)
        require(is_possible(arguments, len(weights)), where, "has impossible arguments")
        # Without memory, until shapes are known to be those of the file.
        with torch.device("meta"):
            network = cls(**arguments)
        check_weights(network, weights, where)
        for name in weights:
            if isinstance(network, Transport) and name.endswith("rotation"):
                require(_is_rotation(weights[name]), f"{where}: {name!r}", "is no rotation")
        for name, tensor in weights.items():
            # As load_state_dict does, whose time grows with the square of the number of layers.
            owner, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(owner), leaf, nn.Parameter(tensor))
        return with_frozen(network, coded["frozen"], where)

    def _autoencoder(
        self,
        cls: type[Autoencoder],
        arguments: dict[str, Any],
        weights: dict[str, Tensor],
        frozen: Any,
        where: str,
    ) -> Autoencoder:
        networks = (arguments["encoder"], arguments["decoder"])
        require(all(isinstance(n, nn.Module) for n in networks), where, "has no networks")
        k, posterior = arguments["n_components"], arguments["posterior"]
        require(type(k) is int and 0 < k <= self._largest, where, "has no n_components")
        flow = arguments["flow"]
        fits = flow is None or (isinstance(flow, Transport) and flow.n_components == k)
        require(fits and (flow is None or cls is Autoencoder), where, "has another flow")
        n_classes = arguments["n_classes"]
        ok = type(n_classes) is int and 0 <= n_classes <= self._largest
        require(ok, where, "has no n_classes")
        known = posterior in ("deterministic", "gaussian", "implicit")
        require(isinstance(posterior, str) and known, where, "has no posterior")
        if cls is SequenceAutoencoder:
            _check_sequences(arguments, where)
        with torch.device("meta"):
            autoencoder = cls(**arguments)
        own = dict(autoencoder.named_parameters(recurse=False))
        require(weights.keys() == {"lower", "upper", *own}, where, "has other weights")
        lower, upper = weights["lower"], weights["upper"]
        ok = lower.dtype == upper.dtype == torch.float32 and lower.shape == upper.shape
        require(ok and lower.ndim == 1 and bool((lower <= upper).all()), where, "has no range")
        autoencoder.lower, autoencoder.upper = lower, upper
        ok = isinstance(frozen, list) and all(isinstance(name, str) for name in frozen)
        require(ok and own.keys() >= set(frozen), where, "freezes what it does not have")
        for name, like in own.items():
            check_weight(like, weights[name], f"{where}: {name!r}", is_parameter=True)
            setattr(autoencoder, name, nn.Parameter(weights[name], name not in frozen))
        return autoencoder

    def _custom_network(self, coded: dict[str, Any], where: str) -> nn.Module:
        spec = CustomNetwork(*(coded[name] for name in CustomNetwork._fields))
        ok = all(type(n) is int and 0 < n <= self._largest for n in spec[1:])
        require(ok and isinstance(spec.role, str), where, "is no network")
        network = self._build(spec)
        weights = self._weights(coded, where)
        check_weights(network, weights, where)
        network.load_state_dict(weights)
        return with_frozen(network, coded["frozen"], where)

    def _weights(self, coded: dict[str, Any], where: str) -> dict[str, Tensor]:
        require(isinstance(coded["weights"], dict), where, "has no weights")
        return {
            name: self._tensor(value, f"{where}.{name}") for name, value in coded["weights"].items()
        }


def _is_rotation(matrix: Tensor) -> bool:
    """Whether columns are orthogonal and of length one, within rounding: it can then be undone."""
    one = torch.eye(len(matrix), dtype=matrix.dtype)
    return bool((matrix.T @ matrix - one).abs().max() < 1e-3)


def _check_sequences(arguments: dict[str, Any], where: str) -> None:
    """Refuse networks of sequences that are not of the same tokens."""
    n, longest = arguments["n_tokens"], arguments["longest"]
    ok = all(type(v) is int and v > 0 for v in (n, longest))
    require(ok, where, "has no tokens")
    encoder, decoder = arguments["encoder"], arguments["decoder"]
    for network, cls in ((encoder, SequenceEncoder), (decoder, SequenceDecoder)):
        fits = not isinstance(network, cls) or network.n_tokens == n
        require(fits, where, "has networks of other tokens")
    if isinstance(encoder, SequenceEncoder) and isinstance(decoder, SequenceDecoder):
        one, other = (network.get_parameter("embedding.weight") for network in (encoder, decoder))
        same = one.shape != other.shape or torch.equal(one, other)
        require(same, where, "has two embeddings where there is one")


def _gap_encoder(arguments: dict[str, Any], where: str) -> GapEncoder:
    """An encoder for rows with gaps, each of whose cells has a place in the row."""
    starts, width = arguments["starts"], arguments["width"]
    ok = isinstance(arguments["network"], nn.Module) and isinstance(arguments["sees_gaps"], bool)
    require(ok, where, "has no network")
    ok = isinstance(starts, tuple) and type(width) is int and all(type(v) is int for v in starts)
    ok = ok and starts[:1] == (0,) and all(map(operator.lt, starts, (*starts[1:], width)))
    require(ok, where, "has impossible columns")
    return GapEncoder(**arguments)


def parts_of(network: nn.Module) -> list[str]:
    """Arguments of a network of ours that are networks themselves."""
    names = arguments_of(type(network))
    return [name for name in names if isinstance(getattr(network, name), nn.Module)]


def is_rebuilt_from_arguments(network: nn.Module) -> bool:
    """Whether a network is one of ours, and still as its arguments say."""
    if NETWORKS.get(type(network).__name__) is not type(network):
        return False
    if isinstance(network, Autoencoder | GapEncoder):
        return True
    arguments = {name: getattr(network, name) for name in arguments_of(type(network))}
    if not is_possible(arguments, len(network.state_dict())):
        return False
    with torch.device("meta"):
        rebuilt = type(network)(**arguments)
    return repr(network) == repr(rebuilt) and _layout(network) == _layout(rebuilt)


def _layout(network: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (t.shape, t.dtype) for name, t in network.state_dict().items()}


def is_stored(network: Any) -> bool:
    """Whether a value of `encoder` and its like is stored whole, and not passed again to `load`."""
    if isinstance(network, nn.Module):
        return is_rebuilt_from_arguments(network)
    return network is None or network in NETWORKS.values()


def is_possible(arguments: dict[str, Any], n_weights: int) -> bool:
    """Whether a network can be built with arguments of these types, of no more layers than it has
    weights."""

    def is_width(value: Any) -> bool:
        return type(value) is int and value > 0

    if arguments.keys() == set(arguments_of(Transport)):
        n_layers, n_prior_layers = arguments["n_layers"], arguments["n_prior_layers"]
        ok = is_width(arguments["n_components"]) and is_width(n_layers)
        ok = ok and type(n_prior_layers) is int and n_prior_layers >= 0
        return ok and n_layers + n_prior_layers < n_weights
    if "embedding_size" in arguments:
        return all(is_width(value) for value in arguments.values())
    sizes, shape = arguments["hidden_layer_sizes"], arguments.get("image_shape", (1, 1, 1))
    n_noise, activation = arguments.get("n_noise", 0), arguments["activation"]
    return (
        isinstance(sizes, tuple)
        and len(sizes) < n_weights
        and isinstance(shape, tuple)
        and len(shape) == 3
        and all(is_width(v) for v in (*sizes, *shape))
        and all(is_width(v) for name, v in arguments.items() if name.endswith("_features"))
        and type(n_noise) is int
        and n_noise >= 0
        and isinstance(activation, str)
        and activation in ACTIVATIONS
    )


def check_weights(network: nn.Module, weights: dict[str, Tensor], where: str) -> None:
    parameters = dict(network.named_parameters(remove_duplicate=False))
    expected = network.state_dict()
    if expected.keys() != weights.keys():
        odd = sorted(expected.keys() ^ weights.keys())
        raise InvalidModelFileError(
            f"{where}: weights of file and network differ in name: {odd[:5]}"
        )
    for name, tensor in weights.items():
        check_weight(expected[name], tensor, f"{where}: {name!r}", name in parameters)


def check_weight(like: Any, tensor: Tensor, where: str, is_parameter: bool) -> None:
    fits = isinstance(like, Tensor) and (like.shape, like.dtype) == (tensor.shape, tensor.dtype)
    if not fits:
        of_network = (tuple(like.shape), like.dtype) if isinstance(like, Tensor) else type(like)
        raise InvalidModelFileError(
            f"{where} is {(tuple(tensor.shape), tensor.dtype)} in the file and {of_network} in the "
            "network"
        )
    require(is_sound(tensor, is_parameter), where, "is a weight that holds NaN or infinity")


def is_sound(weight: Tensor, is_parameter: bool) -> bool:
    """Whether a weight is finite; a buffer may be infinite, as masks are, but not NaN."""
    if not weight.is_floating_point():
        return True
    return bool((weight.isfinite() if is_parameter else ~weight.isnan()).all())


def with_frozen(network: nn.Module, frozen: Any, where: str) -> nn.Module:
    parameters = dict(network.named_parameters(remove_duplicate=False))
    ok = isinstance(frozen, list) and all(isinstance(n, str) for n in frozen)
    names = set(frozen if ok else ())
    require(ok and names <= parameters.keys(), where, "freezes what it does not have")
    for name, parameter in parameters.items():
        if parameter.is_floating_point():
            parameter.requires_grad_(name not in names)
    return network

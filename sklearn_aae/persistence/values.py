"""Values of an estimator to JSON and arrays, and back: a closed set of types, nothing executed.

None, bools, strings, ints, finite floats and lists stand for themselves. Everything else is an
object ``{"type": ..., ...}`` with a fixed set of keys. Arrays are named and kept beside the
document. Objects of ours are rebuilt from the arguments of their constructors, which they keep as
attributes of the same name; networks from these and their weights. Classes are looked up by name in
the tables below and nowhere else.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_aae._files.archive import (
    MAX_DIGITS,
    InvalidModelFileError,
    array_type,
    check_keys,
    require,
)
from sklearn_aae._learned.codes import CodeDensity
from sklearn_aae._learned.density import Density
from sklearn_aae._learned.flow import Transport
from sklearn_aae._rows.likelihoods import LIKELIHOODS
from sklearn_aae._training.critics import Critic
from sklearn_aae.modules import (
    ACTIVATIONS,
    Autoencoder,
    CategoricalAutoencoder,
    ConditionalAutoencoder,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    EmbeddingAutoencoder,
    MultilayerPerceptron,
)
from sklearn_aae.priors import PRIORS, Categorical, Empirical, Joint

__all__ = ["CustomNetwork", "Decoder", "Encoder", "is_stored"]

# What a constructor only stores: building one of these runs nothing.
_OBJECTS: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        *(*PRIORS.values(), Categorical, Empirical, Joint),
        *LIKELIHOODS.values(),
        *(Critic, Density, CodeDensity),
    )
}

_NETWORKS: dict[str, type[nn.Module]] = {
    cls.__name__: cls
    for cls in (
        *(Autoencoder, CategoricalAutoencoder, ConditionalAutoencoder, EmbeddingAutoencoder),
        *(ConvolutionalDecoder, ConvolutionalEncoder, MultilayerPerceptron, Transport),
    )
}

# Arguments of `Autoencoder` that the first files do not have yet.
_LATER_ARGUMENTS: dict[str, Any] = {"flow": None}

# Classes that are values themselves: optimisers, and our networks as builders of networks.
_CLASSES: dict[str, type] = {
    **{
        f"torch.optim.{name}": cls
        for name, cls in vars(torch.optim).items()
        if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)
    },
    **{f"sklearn_aae.modules.{name}": cls for name, cls in _NETWORKS.items()},
}
_CLASS_NAMES = {cls: name for name, cls in _CLASSES.items()}

# Scalars of NumPy by the name of their dtype, and the type that carries their value.
_SCALARS: dict[str, type] = {
    "bool": bool,
    **{f"{sign}int{bits}": int for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": float for bits in (16, 32, 64)},
    "str": str,
}
_SCALAR_NAMES = {np.dtype(name).type: name for name in _SCALARS}

# Parameters and states of today are at most 8 deep; a list that contains itself has no end.
_MAX_DEPTH = 32

_HINTS = {
    "parameters.callbacks": "Call set_params(callbacks=None) first: a fitted model needs none.",
    "parameters.prior": (
        "Use a prior of sklearn_aae.priors, for example Empirical with an array of many draws."
    ),
    "parameters.optimizer": "Use a class of torch.optim, or a functools.partial of one.",
}
_HINTS["attributes.prior_"] = _HINTS["parameters.prior"]


class CustomNetwork(NamedTuple):
    """A network of the user: which parameter it belongs to, and the widths it was built for."""

    role: str
    in_features: int
    out_features: int


def _short(key: Any) -> str:
    """A key for an error message; what is in it may be of any length."""
    return repr(key)[:40]


def _arguments(cls: Any) -> list[str]:
    """Arguments of a constructor that say what is built; a generator only fills it."""
    return [name for name in inspect.signature(cls).parameters if name != "generator"]


class Encoder:
    """Collects the arrays of the values that it encodes.

    Parameters
    ----------
    custom : dict of int to CustomNetwork
        Networks, by `id`, of which the weights are stored and the structure is not.

    Attributes
    ----------
    arrays : dict of str to ndarray
        What the encoded values refer to.
    roles : set of str
        Parameters that the custom networks met so far belong to.
    """

    def __init__(self, custom: dict[int, CustomNetwork]) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.roles: set[str] = set()
        self._custom = custom
        self._names: dict[int, str] = {}
        self._kept: list[Any] = []  # while an object lives, no other has its id
        self._depth = 0

    def encode(self, value: Any, where: str) -> Any:
        """JSON for a value; `where` names it in errors.

        Raises
        ------
        TypeError
            If the value, or one in it, is of a type that cannot be stored.
        ValueError
            If it is nested too deep, or a network holds NaN or infinity.
        """
        if self._depth > _MAX_DEPTH:
            raise ValueError(f"{where} is nested more than {_MAX_DEPTH} deep, or contains itself.")
        self._depth += 1
        try:
            return self._encode(value, where)
        finally:
            self._depth -= 1

    def _encode(self, value: Any, where: str) -> Any:
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if kind is int:
            if abs(value) >= 10 ** (MAX_DIGITS - 1):
                raise ValueError(f"{where}: ints of {MAX_DIGITS} digits and more are not stored.")
            return value
        if kind is float:
            return value if math.isfinite(value) else {"type": "float", "value": str(value)}
        if kind in (list, tuple):
            items = [self.encode(v, f"{where}[{i}]") for i, v in enumerate(value)]
            return items if kind is list else {"type": "tuple", "items": items}
        if kind is dict:
            pairs = [
                [self.encode(k, f"a key of {where}"), self.encode(v, f"{where}[{_short(k)}]")]
                for k, v in value.items()
            ]
            return {"type": "dict", "items": pairs}
        if kind in _SCALAR_NAMES:
            name = _SCALAR_NAMES[kind]
            plain = self.encode(_SCALARS[name](value), where)
            return {"type": "scalar", "dtype": name, "value": plain}
        if kind in (np.ndarray, np.memmap):
            return self._encode_array(value, where)
        if kind is Tensor:
            return {"type": "tensor", "value": self._encode_tensor(value, where)}
        if isinstance(value, np.dtype) and value.name in _SCALARS and value.name != "str":
            return {"type": "dtype", "name": value.name}
        if kind is torch.device:
            return {"type": "device", "name": str(value)}
        if kind is np.random.RandomState:
            return self._encode_random_state(value, where)
        if isinstance(value, type) and value in _CLASS_NAMES:
            return {"type": "class", "name": _CLASS_NAMES[value]}
        if kind is partial and not value.args and value.func in _CLASS_NAMES:
            arguments = self.encode(value.keywords, where)
            return {"type": "partial", "name": _CLASS_NAMES[value.func], "arguments": arguments}
        if kind.__name__ in _OBJECTS and kind is _OBJECTS[kind.__name__]:
            return self._encode_object(value, where)
        if isinstance(value, nn.Module):
            return self._encode_network(value, where)
        raise self._cannot(value, where)

    def _cannot(self, value: Any, where: str) -> TypeError:
        described = value if isinstance(value, type) or inspect.isroutine(value) else type(value)
        name = f"{described.__module__}.{described.__qualname__}"
        parameter = where.split("[")[0]
        hint = next((h for start, h in _HINTS.items() if parameter.startswith(start)), None)
        return TypeError(
            f"{where}: {name} cannot be saved: what a file holds is read without running code. "
            + (hint or "Use plain values, arrays of numbers or strings, or objects of sklearn_aae.")
        )

    def _store(self, array: np.ndarray, original: Any) -> str:
        """Name of an array in the file; the same object is stored once."""
        if id(original) not in self._names:
            name = str(len(self.arrays))
            self.arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
            self._names[id(original)] = name
            self._kept.append(original)
        return self._names[id(original)]

    def _encode_array(self, array: np.ndarray, where: str) -> Any:
        if array.dtype == object:
            items = [self.encode(v, f"{where}[{i}]") for i, v in enumerate(array.flat)]
            return {"type": "objects", "shape": list(array.shape), "items": items}
        if array.dtype.kind == "U" and array.dtype.itemsize > 0:
            # As code points: the memory that reading takes is then what the file holds.
            dtype = array.dtype.newbyteorder("=")
            characters = np.ascontiguousarray(array, dtype).reshape(array.shape)[..., None]
            return {"type": "strings", "name": self._store(characters.view(np.uint32), array)}
        if array_type(array.dtype) is None:
            raise TypeError(
                f"{where}: arrays of {array.dtype} cannot be saved. Convert it to numbers, bools "
                "or strings."
            )
        # The order of elements decides how sums are rounded.
        by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
        name = self._store(array.T if by_columns else array, array)
        return {"type": "array", "name": name, "by_columns": bool(by_columns)}

    def _encode_tensor(self, tensor: Tensor, where: str) -> Any:
        try:
            array = tensor.detach().cpu().numpy()
        except (TypeError, RuntimeError) as error:
            raise TypeError(f"{where}: tensors of {tensor.dtype} cannot be saved.") from error
        return self._encode_array(array, where)

    def _encode_random_state(self, value: np.random.RandomState, where: str) -> Any:
        state: dict[str, Any] = dict(value.get_state(legacy=False))
        if state["bit_generator"] != "MT19937":
            raise TypeError(
                f"{where}: a RandomState of {state['bit_generator']} cannot be saved. Use an int "
                "or RandomState(seed)."
            )
        return {
            "type": "RandomState",
            "key": self.encode(state["state"]["key"], where),
            "position": int(state["state"]["pos"]),
            "has_gauss": bool(state["has_gauss"]),
            "gauss": self.encode(float(state["gauss"]), where),
        }

    def _encode_object(self, value: Any, where: str) -> Any:
        names = _arguments(type(value))
        extra = sorted(set(getattr(value, "__dict__", ())) - set(names))
        if extra:
            raise TypeError(
                f"{where}: {type(value).__name__} has attributes beyond its parameters, which "
                f"would be lost: {extra}. Delete them first."
            )
        fields = {name: self.encode(getattr(value, name), f"{where}.{name}") for name in names}
        return {"type": "object", "class": type(value).__name__, "fields": fields}

    def _encode_network(self, network: nn.Module, where: str) -> Any:
        own = _is_rebuilt_from_arguments(network)
        if not own and id(network) not in self._custom:
            raise self._cannot(network, where)
        parts = _parts(network) if own else []
        coded: dict[str, Any] = {"type": "network"}
        if own:
            names = _arguments(type(network))
            coded["class"] = type(network).__name__
            coded["arguments"] = {
                name: self.encode(getattr(network, name), f"{where}.{name}") for name in names
            }
        else:
            coded.update(self._custom[id(network)]._asdict())
            self.roles.add(self._custom[id(network)].role)
        coded["weights"] = {}
        parameters = dict(network.named_parameters(remove_duplicate=False))
        for name, tensor in network.state_dict().items():
            if name.split(".")[0] in parts:
                continue
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{where}: its state_dict holds {name!r}, which is no tensor, and cannot be "
                    "saved. Keep tensors in the network's state only."
                )
            if not _is_sound(tensor, name in parameters):
                raise ValueError(
                    f"{where}: {name!r} holds NaN or infinity. Fit again, with a lower lr."
                )
            coded["weights"][name] = self._encode_tensor(tensor, f"{where}.{name}")
        coded["frozen"] = [
            name
            for name, p in parameters.items()
            if not p.requires_grad and name.split(".")[0] not in parts
        ]
        return coded


class Decoder:
    """Rebuilds values from JSON and arrays.

    Parameters
    ----------
    arrays : dict of str to ndarray
        What the values may refer to.
    build : callable
        From a `CustomNetwork` to the network, in float32, that the user passes for it.
    """

    def __init__(
        self, arrays: dict[str, np.ndarray], build: Callable[[CustomNetwork], nn.Module]
    ) -> None:
        self._arrays = arrays
        self._build = build
        self._unused = set(arrays)
        self._decoded: dict[tuple[str, bool], np.ndarray] = {}
        self._strings_by_name: dict[str, np.ndarray] = {}
        self._depth = 0
        # No width is larger than the number of values that go with it.
        self._largest = sum(array.size for array in arrays.values())
        self._rules: dict[str, tuple[set[str], Callable[[dict[str, Any], str], Any]]] = {
            "float": ({"value"}, self._float),
            "tuple": ({"items"}, self._tuple),
            "dict": ({"items"}, self._dict),
            "scalar": ({"dtype", "value"}, self._scalar),
            "array": ({"name", "by_columns"}, self._array),
            "strings": ({"name"}, self._strings),
            "objects": ({"shape", "items"}, self._objects),
            "tensor": ({"value"}, lambda coded, where: self._tensor(coded["value"], where)),
            "dtype": ({"name"}, self._dtype),
            "device": ({"name"}, self._device),
            "RandomState": ({"key", "position", "has_gauss", "gauss"}, self._random_state),
            "class": ({"name"}, self._class),
            "partial": ({"name", "arguments"}, self._partial),
            "object": ({"class", "fields"}, self._object),
            "network": ({"class", "arguments", "weights", "frozen"}, self._own_network),
        }

    def decode(self, coded: Any, where: str) -> Any:
        """The value; InvalidModelFileError where JSON and arrays do not say one."""
        require(self._depth <= _MAX_DEPTH, where, "is nested too deep")
        self._depth += 1
        try:
            if isinstance(coded, list):
                return [self.decode(item, f"{where}[{i}]") for i, item in enumerate(coded)]
            if not isinstance(coded, dict):
                return coded
            kind = str(coded.get("type"))
            require(kind in self._rules, where, "has an unknown type")
            keys, rule = self._rules[kind]
            if kind == "network" and "role" in coded:
                keys, rule = {*CustomNetwork._fields, "weights", "frozen"}, self._custom_network
            check_keys(coded, {"type", *keys}, where)
            return rule(coded, where)
        finally:
            self._depth -= 1

    def check_all_used(self) -> None:
        """Refuse arrays that no value refers to."""
        if self._unused:
            raise InvalidModelFileError(f"arrays belong to nothing: {sorted(self._unused)[:5]}")

    def _float(self, coded: dict[str, Any], where: str) -> float:
        require(coded["value"] in ("nan", "inf", "-inf"), where, "is no float")
        return float(coded["value"])

    def _tuple(self, coded: dict[str, Any], where: str) -> tuple[Any, ...]:
        require(isinstance(coded["items"], list), where, "is no tuple")
        return tuple(self.decode(coded["items"], where))

    def _dict(self, coded: dict[str, Any], where: str) -> dict[Any, Any]:
        pairs = coded["items"]
        ok = isinstance(pairs, list) and all(isinstance(p, list) and len(p) == 2 for p in pairs)
        require(ok, where, "is no dict")
        values: dict[Any, Any] = {}
        for coded_key, coded_value in pairs:
            key = self.decode(coded_key, f"a key of {where}")
            simple = isinstance(key, str | int | float | np.generic) or key is None
            require(simple and key not in values, where, "has repeated or impossible keys")
            values[key] = self.decode(coded_value, f"{where}[{_short(key)}]")
        return values

    def _scalar(self, coded: dict[str, Any], where: str) -> Any:
        name, value = coded["dtype"], self.decode(coded["value"], where)
        known = isinstance(name, str) and name in _SCALARS
        require(known and type(value) is _SCALARS[name], where, "is no scalar")
        return np.dtype(name).type(value)

    def _stored(self, name: Any, where: str) -> np.ndarray:
        require(isinstance(name, str) and name in self._arrays, where, "names no array")
        self._unused.discard(name)
        return self._arrays[name]

    def _array(self, coded: dict[str, Any], where: str) -> np.ndarray:
        name, by_columns = coded["name"], coded["by_columns"]
        array = self._stored(name, where)
        require(isinstance(by_columns, bool), where, "has no order")
        # One array stays one where several attributes share it.
        return self._decoded.setdefault((name, by_columns), array.T if by_columns else array)

    def _strings(self, coded: dict[str, Any], where: str) -> np.ndarray:
        name = coded["name"]
        points = self._stored(name, where)
        ok = points.dtype == np.uint32 and points.ndim > 0 and points.shape[-1] > 0
        require(ok, where, "is no array of strings")
        # Beyond lie no characters, and NumPy fails wherever it meets one.
        require(not points.size or points.max() <= 0x10FFFF, where, "is no array of strings")
        if name not in self._strings_by_name:
            self._strings_by_name[name] = (
                points.view(f"U{points.shape[-1]}").reshape(points.shape[:-1]).copy()
            )
        return self._strings_by_name[name]

    def _objects(self, coded: dict[str, Any], where: str) -> np.ndarray:
        shape, items = coded["shape"], coded["items"]
        ok = isinstance(shape, list) and len(shape) <= 32 and isinstance(items, list)
        ok = ok and all(type(n) is int and n >= 0 for n in shape)
        require(ok and math.prod(shape) == len(items), where, "is no array of objects")
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            array[i] = self.decode(item, f"{where}[{i}]")
        return array.reshape(shape)

    def _tensor(self, coded: Any, where: str) -> Tensor:
        check_keys(coded, {"type", "name", "by_columns"}, where)
        # Tensors are copies, in memory aligned as torch likes it: each array gives one of them.
        new = isinstance(coded["name"], str) and coded["name"] in self._unused
        require(new and coded["type"] == "array", where, "is no tensor")
        return torch.tensor(self._array(coded, where))

    def _dtype(self, coded: dict[str, Any], where: str) -> np.dtype[Any]:
        name = coded["name"]
        known = isinstance(name, str) and name in _SCALARS and name != "str"
        require(known, where, "is no dtype")
        return np.dtype(name)

    def _device(self, coded: dict[str, Any], where: str) -> torch.device:
        require(isinstance(coded["name"], str), where, "is no device")
        return torch.device(coded["name"])

    def _random_state(self, coded: dict[str, Any], where: str) -> np.random.RandomState:
        key, gauss = self.decode(coded["key"], where), self.decode(coded["gauss"], where)
        position, has_gauss = coded["position"], coded["has_gauss"]
        ok = isinstance(key, np.ndarray) and key.shape == (624,) and key.dtype == np.uint32
        # NumPy does not check the position, and would read beyond its state.
        ok = ok and type(position) is int and 0 <= position <= 624
        ok = ok and isinstance(has_gauss, bool) and isinstance(gauss, float)
        require(ok, where, "is no state of a RandomState")
        random_state = np.random.RandomState(0)
        random_state.set_state(("MT19937", key, position, int(has_gauss), gauss))
        return random_state

    def _class(self, coded: dict[str, Any], where: str) -> type:
        name = coded["name"]
        require(isinstance(name, str) and name in _CLASSES, where, f"is unknown: {name!r}")
        return _CLASSES[name]

    def _partial(self, coded: dict[str, Any], where: str) -> Any:
        arguments = self.decode(coded["arguments"], where)
        ok = isinstance(arguments, dict) and all(isinstance(k, str) for k in arguments)
        require(ok, where, "is no partial")
        return partial(self._class(coded, where), **arguments)

    def _fields(self, cls: Any, coded: Any, where: str) -> dict[str, Any]:
        check_keys(coded, set(_arguments(cls)), where)
        return {name: self.decode(value, f"{where}.{name}") for name, value in coded.items()}

    def _object(self, coded: dict[str, Any], where: str) -> Any:
        name = coded["class"]
        require(isinstance(name, str) and name in _OBJECTS, where, f"is unknown: {name!r}")
        cls = _OBJECTS[name]
        return cls(**self._fields(cls, coded["fields"], where))

    # Networks.

    def _own_network(self, coded: dict[str, Any], where: str) -> nn.Module:
        name = coded["class"]
        require(isinstance(name, str) and name in _NETWORKS, where, f"is unknown: {name!r}")
        cls = _NETWORKS[name]
        arguments = coded["arguments"]
        if issubclass(cls, Autoencoder) and isinstance(arguments, dict):
            arguments = _LATER_ARGUMENTS | arguments
        arguments = self._fields(cls, arguments, where)
        weights = self._weights(coded, where)
        if issubclass(cls, Autoencoder):
            return self._autoencoder(cls, arguments, weights, coded["frozen"], where)
        require(_is_possible(arguments, len(weights)), where, "has impossible arguments")
        # Without memory, until shapes are known to be those of the file.
        with torch.device("meta"):
            network = cls(**arguments)
        _check_weights(network, weights, where)
        for name, tensor in weights.items():
            # As load_state_dict does, whose time grows with the square of the number of layers.
            owner, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(owner), leaf, nn.Parameter(tensor))
        return _with_frozen(network, coded["frozen"], where)

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
            _check_weight(like, weights[name], f"{where}: {name!r}", is_parameter=True)
            setattr(autoencoder, name, nn.Parameter(weights[name], name not in frozen))
        return autoencoder

    def _custom_network(self, coded: dict[str, Any], where: str) -> nn.Module:
        spec = CustomNetwork(*(coded[name] for name in CustomNetwork._fields))
        ok = all(type(n) is int and 0 < n <= self._largest for n in spec[1:])
        require(ok and isinstance(spec.role, str), where, "is no network")
        network = self._build(spec)
        weights = self._weights(coded, where)
        _check_weights(network, weights, where)
        network.load_state_dict(weights)
        return _with_frozen(network, coded["frozen"], where)

    def _weights(self, coded: dict[str, Any], where: str) -> dict[str, Tensor]:
        require(isinstance(coded["weights"], dict), where, "has no weights")
        return {
            name: self._tensor(value, f"{where}.{name}") for name, value in coded["weights"].items()
        }


def _parts(network: nn.Module) -> list[str]:
    """Arguments of a network of ours that are networks themselves."""
    names = _arguments(type(network))
    return [name for name in names if isinstance(getattr(network, name), nn.Module)]


def _is_rebuilt_from_arguments(network: nn.Module) -> bool:
    """Whether a network is one of ours, and still as its arguments say."""
    if _NETWORKS.get(type(network).__name__) is not type(network):
        return False
    if isinstance(network, Autoencoder):
        return True
    arguments = {name: getattr(network, name) for name in _arguments(type(network))}
    if not _is_possible(arguments, len(network.state_dict())):
        return False
    with torch.device("meta"):
        rebuilt = type(network)(**arguments)
    return repr(network) == repr(rebuilt) and _layout(network) == _layout(rebuilt)


def _layout(network: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (t.shape, t.dtype) for name, t in network.state_dict().items()}


def is_stored(network: Any) -> bool:
    """Whether a value of `encoder` and its like is stored whole, and not passed again to `load`."""
    if isinstance(network, nn.Module):
        return _is_rebuilt_from_arguments(network)
    return network is None or network in _NETWORKS.values()


def _is_possible(arguments: dict[str, Any], n_weights: int) -> bool:
    """Whether a network can be built with arguments of these types, of no more layers than it has
    weights."""

    def is_width(value: Any) -> bool:
        return type(value) is int and value > 0

    if arguments.keys() == set(_arguments(Transport)):
        n_layers, n_prior_layers = arguments["n_layers"], arguments["n_prior_layers"]
        ok = is_width(arguments["n_components"]) and is_width(n_layers)
        ok = ok and type(n_prior_layers) is int and n_prior_layers >= 0
        return ok and n_layers + n_prior_layers < n_weights
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


def _check_weights(network: nn.Module, weights: dict[str, Tensor], where: str) -> None:
    parameters = dict(network.named_parameters(remove_duplicate=False))
    expected = network.state_dict()
    if expected.keys() != weights.keys():
        odd = sorted(expected.keys() ^ weights.keys())
        raise InvalidModelFileError(
            f"{where}: weights of file and network differ in name: {odd[:5]}"
        )
    for name, tensor in weights.items():
        _check_weight(expected[name], tensor, f"{where}: {name!r}", name in parameters)


def _check_weight(like: Any, tensor: Tensor, where: str, is_parameter: bool) -> None:
    fits = isinstance(like, Tensor) and (like.shape, like.dtype) == (tensor.shape, tensor.dtype)
    if not fits:
        of_network = (tuple(like.shape), like.dtype) if isinstance(like, Tensor) else type(like)
        raise InvalidModelFileError(
            f"{where} is {(tuple(tensor.shape), tensor.dtype)} in the file and {of_network} in the "
            "network"
        )
    require(_is_sound(tensor, is_parameter), where, "is a weight that holds NaN or infinity")


def _is_sound(weight: Tensor, is_parameter: bool) -> bool:
    """Whether a weight is finite; a buffer may be infinite, as masks are, but not NaN."""
    if not weight.is_floating_point():
        return True
    return bool((weight.isfinite() if is_parameter else ~weight.isnan()).all())


def _with_frozen(network: nn.Module, frozen: Any, where: str) -> nn.Module:
    parameters = dict(network.named_parameters(remove_duplicate=False))
    ok = isinstance(frozen, list) and all(isinstance(n, str) for n in frozen)
    names = set(frozen if ok else ())
    require(ok and names <= parameters.keys(), where, "freezes what it does not have")
    for name, parameter in parameters.items():
        if parameter.is_floating_point():
            parameter.requires_grad_(name not in names)
    return network

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
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_aae._files.archive import MAX_DIGITS, array_type
from sklearn_aae.persistence.networks import is_rebuilt_from_arguments, is_sound, parts_of
from sklearn_aae.persistence.vocabulary import (
    CLASS_NAMES,
    MAX_DEPTH,
    OBJECTS,
    SCALAR_NAMES,
    SCALARS,
    CustomNetwork,
    arguments_of,
    short,
)

_HINTS = {
    "parameters.callbacks": "Call set_params(callbacks=None) first: a fitted model needs none.",
    "parameters.prior": (
        "Use a prior of sklearn_aae.priors, for example Empirical with an array of many draws."
    ),
    "parameters.optimizer": "Use a class of torch.optim, or a functools.partial of one.",
}
_HINTS["parameters.analyzer"] = (
    'Call set_params(analyzer="word") first: a fitted model has its own tokenizer. A callable '
    "cannot be stored at all: use joblib.dump."
)
_HINTS["attributes._tokens.analyzer"] = "A callable analyzer is code: use joblib.dump."
_HINTS["attributes.prior_"] = _HINTS["parameters.prior"]


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
        if self._depth > MAX_DEPTH:
            raise ValueError(f"{where} is nested more than {MAX_DEPTH} deep, or contains itself.")
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
                [self.encode(k, f"a key of {where}"), self.encode(v, f"{where}[{short(k)}]")]
                for k, v in value.items()
            ]
            return {"type": "dict", "items": pairs}
        if kind in SCALAR_NAMES:
            name = SCALAR_NAMES[kind]
            plain = self.encode(SCALARS[name](value), where)
            return {"type": "scalar", "dtype": name, "value": plain}
        if kind in (np.ndarray, np.memmap):
            return self._encode_array(value, where)
        if kind is Tensor:
            return {"type": "tensor", "value": self._encode_tensor(value, where)}
        if isinstance(value, np.dtype) and value.name in SCALARS and value.name != "str":
            return {"type": "dtype", "name": value.name}
        if kind is torch.device:
            return {"type": "device", "name": str(value)}
        if kind is np.random.RandomState:
            return self._encode_random_state(value, where)
        if isinstance(value, type) and value in CLASS_NAMES:
            return {"type": "class", "name": CLASS_NAMES[value]}
        if kind is partial and not value.args and value.func in CLASS_NAMES:
            arguments = self.encode(value.keywords, where)
            return {"type": "partial", "name": CLASS_NAMES[value.func], "arguments": arguments}
        if kind.__name__ in OBJECTS and kind is OBJECTS[kind.__name__]:
            return self._encode_object(value, where)
        if isinstance(value, nn.Module):
            return self._encode_network(value, where)
        raise self._cannot(value, where)

    def _cannot(self, value: Any, where: str) -> TypeError:
        described = value if isinstance(value, type) or inspect.isroutine(value) else type(value)
        name = f"{getattr(described, '__module__', 'builtins')}.{described.__qualname__}"
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
        names = arguments_of(type(value))
        extra = sorted(set(getattr(value, "__dict__", ())) - set(names))
        if extra:
            raise TypeError(
                f"{where}: {type(value).__name__} has attributes beyond its parameters, which "
                f"would be lost: {extra}. Delete them first."
            )
        fields = {name: self.encode(getattr(value, name), f"{where}.{name}") for name in names}
        return {"type": "object", "class": type(value).__name__, "fields": fields}

    def _encode_network(self, network: nn.Module, where: str) -> Any:
        own = is_rebuilt_from_arguments(network)
        if not own and id(network) not in self._custom:
            raise self._cannot(network, where)
        parts = parts_of(network) if own else []
        coded: dict[str, Any] = {"type": "network"}
        if own:
            names = arguments_of(type(network))
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
            if not is_sound(tensor, name in parameters):
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

"""From JSON and arrays to the values they say, with nothing taken on trust."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_aae._files.archive import InvalidModelFileError, check_keys, require
from sklearn_aae.persistence.networks import NetworkDecoder
from sklearn_aae.persistence.vocabulary import (
    CLASSES,
    MAX_DEPTH,
    OBJECTS,
    SCALARS,
    CustomNetwork,
    short,
)


class Decoder(NetworkDecoder):
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
        super().__init__(build, sum(array.size for array in arrays.values()))
        self._unused = set(arrays)
        self._decoded: dict[tuple[str, bool], np.ndarray] = {}
        self._strings_by_name: dict[str, np.ndarray] = {}
        self._depth = 0
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
        require(self._depth <= MAX_DEPTH, where, "is nested too deep")
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
            values[key] = self.decode(coded_value, f"{where}[{short(key)}]")
        return values

    def _scalar(self, coded: dict[str, Any], where: str) -> Any:
        name, value = coded["dtype"], self.decode(coded["value"], where)
        known = isinstance(name, str) and name in SCALARS
        require(known and type(value) is SCALARS[name], where, "is no scalar")
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
        known = isinstance(name, str) and name in SCALARS and name != "str"
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
        require(isinstance(name, str) and name in CLASSES, where, f"is unknown: {name!r}")
        return CLASSES[name]

    def _partial(self, coded: dict[str, Any], where: str) -> Any:
        arguments = self.decode(coded["arguments"], where)
        ok = isinstance(arguments, dict) and all(isinstance(k, str) for k in arguments)
        require(ok, where, "is no partial")
        return partial(self._class(coded, where), **arguments)

    def _object(self, coded: dict[str, Any], where: str) -> Any:
        name = coded["class"]
        require(isinstance(name, str) and name in OBJECTS, where, f"is unknown: {name!r}")
        cls = OBJECTS[name]
        return cls(**self._fields(cls, coded["fields"], where))

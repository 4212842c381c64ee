"""Strings as users have them: lists, arrays, columns of frames, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import narwhals as nw


def read_strings(X: Any, name: str = "X", *, min_samples: int = 1) -> list[str]:
    """The strings of an iterable, or of a column of pandas, polars or pyarrow.

    Raises
    ------
    TypeError
        If it is not an iterable of strings: a single string, numbers, bytes.
    ValueError
        If it is two-dimensional, strings are missing or hold halves of characters (lone
        surrogates), or there are fewer than `min_samples`.
    """
    values = _listed(X, name)
    missing = [i for i, v in enumerate(values) if not isinstance(v, str) and _is_missing(v)]
    if missing:
        raise ValueError(
            f"{name} has {len(missing)} missing strings, the first at position {missing[0]}: got "
            f'{values[missing[0]]!r}. Leave them out, or put "" in their place.'
        )
    odd = [i for i, v in enumerate(values) if not isinstance(v, str)]
    if odd:
        value = values[odd[0]]
        hint = "Decode bytes first" if isinstance(value, bytes) else "Convert them with str first"
        raise TypeError(
            f"{name} must hold strings, and {len(odd)} of {len(values)} are none, the first at "
            f"position {odd[0]}: got {value!r}, of type {type(value).__name__}. {hint}."
        )
    broken = [i for i, v in enumerate(values) if not _is_encodable(v)]
    if broken:
        raise ValueError(
            f"{name} has {len(broken)} strings with lone surrogates, which are halves of "
            f"characters, the first at position {broken[0]}: got {values[broken[0]][:50]!r}. "
            'Replace them, for example with s.encode("utf-8", "replace").decode().'
        )
    if len(values) < min_samples:
        raise ValueError(
            f"Found array with {len(values)} sample(s) while a minimum of {min_samples} is "
            f"required: {name} must hold at least as many strings."
        )
    # Plain ones, without what subclasses such as that of NumPy bring along.
    return [v if type(v) is str else str(v) for v in values]


def _listed(X: Any, name: str) -> list[Any]:
    if isinstance(X, str | bytes):
        raise TypeError(
            f"{name} must be an iterable of strings, got a single {type(X).__name__}: {X[:50]!r}. "
            f"Pass [{name}] for one."
        )
    if isinstance(X, dict | set | frozenset) or not isinstance(X, Iterable):
        raise TypeError(
            f"{name} must be an iterable of strings in an order, got {type(X).__name__}. Pass a "
            "list, an array or a column of a frame."
        )
    shape = getattr(X, "shape", None)
    if isinstance(shape, tuple) and len(shape) != 1:
        raise ValueError(
            f"{name} must be one-dimensional, one string for each sample, got shape {shape}. Pass "
            'one column, such as X[:, 0] or frame["name"]; in a ColumnTransformer, name it as a '
            "string and not as a list."
        )
    if hasattr(X, "to_pylist"):  # an array of pyarrow, which narwhals does not take
        return list(X.to_pylist())
    native = nw.from_native(X, series_only=True, pass_through=True)
    return list(native.to_list() if isinstance(native, nw.Series) else X)


def _is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or NA: all but None differ from themselves, or say so."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # NA of pandas has no truth
        return True
    except ValueError:  # an array has many
        return False


def _is_encodable(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

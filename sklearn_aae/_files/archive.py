"""One file with a JSON document and arrays: written at once, read with nothing taken on trust.

The layout is that of safetensors [1]_: eight bytes with the length of a header, the header in JSON,
and the bytes of the arrays one after the other. Nothing is compressed and nothing is named by a
path, so that a file can claim no more than its own size, which is checked before memory is asked
for. The document travels as a string in the header's ``"__metadata__"``; any safetensors reader
shows it and the arrays. We read it ourselves, because more is refused here than the format asks
for: repeated and unknown keys, numbers that are not finite, bytes that belong to nothing.

References
----------
.. [1] https://huggingface.co/docs/safetensors#format
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
import shutil
from typing import Any

import numpy as np

__all__ = [
    "FORMAT_VERSION",
    "MAX_DIGITS",
    "InvalidModelFileError",
    "array_type",
    "check_keys",
    "read_archive",
    "require",
    "write_archive",
]

# Raised with every change that a release before it could not read.
FORMAT_VERSION = 1

# How every file starts, after the length: other files are refused before anything is parsed.
_START = b'{"__metadata__":{"format":"sklearn_aae","format_version":"'

# The limit of safetensors itself: a header is read as a whole.
_MAX_HEADER = 100_000_000

# 128 bits have 39 digits; longer ints come from no random generator and take long to parse.
MAX_DIGITS = 40

_DTYPES = {
    "BOOL": "?",
    "I8": "<i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "<u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
_TYPE_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


class InvalidModelFileError(ValueError):
    """The file is no model that `sklearn_aae.load` can read.

    Raised for files that are damaged, cut off, of another origin, of a newer format, or made up to
    do harm; and where a network passed to ``load`` does not fit the file. Nothing in the file was
    executed. Inherits from ValueError.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_aae import load
    >>> from sklearn_aae.persistence import InvalidModelFileError
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     try:
    ...         load(file.name)
    ...     except InvalidModelFileError as error:
    ...         print("not a model:", "sklearn_aae.save" in str(error))
    not a model: True
    """


def array_type(dtype: np.dtype) -> str | None:
    """Name of a dtype in a file, None if arrays of it are not stored."""
    return _TYPE_NAMES.get(dtype.newbyteorder("<"))


# Writing.


def write_archive(
    path: str | os.PathLike[str], document: Any, arrays: dict[str, np.ndarray]
) -> None:
    """Write a document and arrays to `path`, all of it or nothing.

    Parameters
    ----------
    path : str or path-like
        A file there is replaced in one step once the new one is complete on the disk.
    document : dict
        What `json` can write.
    arrays : dict of str to ndarray
        C-contiguous, of a dtype that `array_type` knows.
    """
    # Wide types first: every array then starts at a multiple of its item size.
    ordered = sorted(arrays.items(), key=lambda item: -item[1].itemsize)
    arrays = {name: a.astype(a.dtype.newbyteorder("<"), copy=False) for name, a in ordered}
    entries: dict[str, Any] = {
        "__metadata__": {
            "format": "sklearn_aae",
            "format_version": str(FORMAT_VERSION),
            "sha256": "0" * 64,
            "document": json.dumps(document, allow_nan=False, separators=(",", ":")),
        }
    }
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        entries[name] = {
            "dtype": array_type(array.dtype),
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    header = json.dumps(entries, allow_nan=False, separators=(",", ":")).encode("ascii")
    header += b" " * (-len(header) % 8)
    if len(header) > _MAX_HEADER:
        raise ValueError(
            f"What is not in arrays takes {len(header)} bytes, and a file holds {_MAX_HEADER} of "
            "it. Long lists belong into arrays."
        )
    parts = [array.reshape(-1).view(np.uint8).data for array in arrays.values()]
    digest = _digest(header, parts)
    header = header.replace(b"0" * 64, digest.encode("ascii"), 1)
    _write_at_once(path, [len(header).to_bytes(8, "little"), header, *parts])


def _digest(header: bytes, parts: list[Any]) -> str:
    """SHA-256 of a file whose header holds zeros in place of its digest."""
    digest = hashlib.sha256(header)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _write_at_once(path: str | os.PathLike[str], parts: list[Any]) -> None:
    # Behind a link, the file that it points to is replaced and not the link.
    target = os.path.realpath(os.fsdecode(path))
    directory, name = os.path.split(target)
    if os.path.isdir(target):
        raise IsADirectoryError(f"path={target!r} is a directory. Pass the path of a file.")
    if not os.path.isdir(directory):
        raise FileNotFoundError(f"path={target!r}: there is no directory {directory!r}.")
    # In the same directory, so that replacing is a rename.
    temporary = os.path.join(directory, f".{name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


# Reading.


def read_archive(path: str | os.PathLike[str]) -> tuple[Any, dict[str, np.ndarray]]:
    """Document and arrays of a file.

    Raises
    ------
    InvalidModelFileError
        If the file is not exactly as `write_archive` writes them.
    OSError
        If it cannot be opened or read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8 + len(_START))
        if start[8:] != _START:
            pickled = " and looks like a pickle" if start[:1] == b"\x80" else ""
            raise InvalidModelFileError(f"it was not written by sklearn_aae.save{pickled}")
        n_header = int.from_bytes(start[:8], "little")
        if not len(_START) < n_header <= min(size - 8, _MAX_HEADER):
            raise InvalidModelFileError(
                f"its header of {n_header} bytes does not fit in {size} bytes: the file is cut off "
                "or damaged"
            )
        header = _START + file.read(n_header - len(_START))
        entries = _parse(header)
        metadata = entries.pop("__metadata__")
        _check_version(metadata.get("format_version"))
        check_keys(metadata, {"format", "format_version", "sha256", "document"}, "__metadata__")
        layout = _layout(entries, size - 8 - n_header)
        try:
            arrays = {name: np.empty(shape, dtype) for name, (shape, dtype) in layout.items()}
        except MemoryError as error:  # a sparse file may declare anything
            raise InvalidModelFileError(f"its {size} bytes are more than the memory") from error
        parts = [array.reshape(-1).view(np.uint8).data for array in arrays.values()]
        complete = all(file.readinto(part) == len(part) for part in parts)
        if not complete or file.read(1):
            raise InvalidModelFileError("its size changed while it was read")
    expected = metadata["sha256"]
    if not isinstance(expected, str) or not re.fullmatch("[0-9a-f]{64}", expected):
        raise InvalidModelFileError("it has no checksum")
    blank = header.replace(expected.encode("ascii"), b"0" * 64, 1)
    if _digest(blank, parts) != expected:
        raise InvalidModelFileError("its checksum is wrong: the file is damaged")
    for name, array in arrays.items():
        if array.dtype == bool and array.size and array.view(np.uint8).max() > 1:
            raise InvalidModelFileError(f"array {name!r} holds bytes that are no bools")
    native = {name: a.astype(a.dtype.newbyteorder("="), copy=False) for name, a in arrays.items()}
    document = metadata["document"]
    if not isinstance(document, str):
        raise InvalidModelFileError("it has no document")
    return _parse(document.encode("utf-8", "surrogatepass")), native


def check_keys(entry: Any, keys: set[str], where: str) -> None:
    """Refuse what is not an object with exactly these keys."""
    if not isinstance(entry, dict):
        raise InvalidModelFileError(f"{where} is no JSON object")
    if entry.keys() != keys:
        odd = sorted(entry.keys() ^ keys)
        raise InvalidModelFileError(f"{where} has missing or unknown keys: {odd[:5]}")


def require(condition: Any, where: str, problem: str) -> None:
    """Refuse a file unless the condition holds."""
    if not condition:
        raise InvalidModelFileError(f"{where} {problem}")


def _check_version(version: Any) -> None:
    if not isinstance(version, str) or not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise InvalidModelFileError("it does not say the version of its format")
    if int(version) > FORMAT_VERSION:
        raise InvalidModelFileError(
            f"its format has version {version} and this release reads up to {FORMAT_VERSION}. "
            "Install a newer sklearn-aae"
        )


def _layout(
    entries: dict[str, Any], n_bytes: int
) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and dtype of each array, once it is clear that they fill `n_bytes` exactly."""
    layout, end = {}, 0
    for name, entry in entries.items():
        check_keys(entry, {"dtype", "shape", "data_offsets"}, f"array {name!r}")
        kind, shape = entry["dtype"], entry["shape"]
        if not isinstance(kind, str) or kind not in _DTYPES:
            raise InvalidModelFileError(f"array {name!r} has an unknown dtype, {kind!r}")
        if not isinstance(shape, list) or len(shape) > 32 or not all(_is_count(n) for n in shape):
            raise InvalidModelFileError(f"array {name!r} has an impossible shape")
        dtype = np.dtype(_DTYPES[kind])
        start, end = end, end + math.prod(shape) * dtype.itemsize
        # An empty array has no bytes that its other dimensions could be held against.
        extent = math.prod(n for n in shape if n) * dtype.itemsize
        if entry["data_offsets"] != [start, end] or extent > max(n_bytes, 8):
            raise InvalidModelFileError(f"array {name!r} does not fit in the file")
        layout[name] = tuple(shape), dtype
    if end != n_bytes:
        raise InvalidModelFileError(f"its arrays take {end} bytes, but the file holds {n_bytes}")
    return layout


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _parse(text: bytes) -> Any:
    """Strict JSON, whose outermost value is an object."""
    try:
        value = json.loads(
            text.decode("ascii"),
            object_pairs_hook=_unique,
            parse_int=_parse_int,
            parse_float=_parse_float,
            parse_constant=_parse_float,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidModelFileError(f"its header is damaged: {error}") from error
    if not isinstance(value, dict):
        raise InvalidModelFileError("its header is damaged: it is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a key is repeated")
    return entries


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an int has {len(digits)} digits")
    return int(digits)


def _parse_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is no finite number")
    return value

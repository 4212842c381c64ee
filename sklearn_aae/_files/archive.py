"""One file with a JSON document and arrays: written at once, read with nothing taken on trust.

The layout is that of safetensors [1]_, which reads and writes it: a header in JSON and the bytes of
the arrays one after the other. Nothing is compressed and nothing is named by a path, so that a file
can claim no more than its own size. The document travels as a string in the header's metadata; any
safetensors reader shows it and the arrays. More is refused here than the format asks for: wrong
checksums, repeated and unknown keys, numbers that are not finite.

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
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors
import safetensors.numpy

from sklearn_aae._files.atomic import write_atomically

# Raised with every change that a release before it could not read.
FORMAT_VERSION = 2

# How every file starts, after the length: other files are refused before anything is parsed. The
# first format had a key for each entry of the metadata, the second has one for all of them, since
# safetensors writes keys in an order that changes from one run to the next.
_STARTS = (b'{"__metadata__":{"sklearn_aae":"', b'{"__metadata__":{"format":"sklearn_aae"')

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
_NO_DIGEST = b"0" * 64


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
    metadata = {
        "format_version": str(FORMAT_VERSION),
        "sha256": _NO_DIGEST.decode(),
        "document": json.dumps(document, allow_nan=False, separators=(",", ":")),
    }
    text = json.dumps(metadata, separators=(",", ":"))
    if len(text) > _MAX_HEADER // 2:
        raise ValueError(
            f"What is not in arrays takes {len(text)} bytes, and a file holds {_MAX_HEADER // 2} "
            "of it. Long lists belong into arrays."
        )
    data = bytearray(safetensors.numpy.save(arrays, {"sklearn_aae": text}))
    where = data.index(_NO_DIGEST)
    data[where : where + 64] = hashlib.sha256(memoryview(data)[8:]).hexdigest().encode("ascii")
    # Behind a link, the file that it points to is replaced and not the link.
    target = Path(os.path.realpath(os.fsdecode(path)))
    if target.is_dir():
        raise IsADirectoryError(f"path={str(target)!r} is a directory. Pass the path of a file.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path={str(target)!r}: there is no directory {str(target.parent)!r}."
        )

    def write(file: BinaryIO) -> None:
        file.write(data)

    write_atomically(target, write)


def read_archive(path: str | os.PathLike[str]) -> tuple[Any, dict[str, np.ndarray], int]:
    """Document, arrays and version of the format of a file.

    Raises
    ------
    InvalidModelFileError
        If the file is not exactly as `write_archive` writes them, or did in an earlier release.
    OSError
        If it cannot be opened or read.
    """
    data, n_header, entries = _bytes_of(path)
    metadata = entries.pop("__metadata__")
    keys = {"format_version", "sha256", "document"}
    if "sklearn_aae" in metadata:
        check_keys(metadata, {"sklearn_aae"}, "__metadata__")
        metadata = _parse(str(metadata["sklearn_aae"]).encode("utf-8", "surrogatepass"))
    else:
        keys = keys | {"format"}
    format_version = _checked_version(metadata.get("format_version"))
    check_keys(metadata, keys, "__metadata__")
    sha256, document = metadata["sha256"], metadata["document"]
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InvalidModelFileError("it has no checksum")
    where = data.find(sha256.encode("ascii"), 8, 8 + n_header)
    digest = hashlib.sha256(data[8:where] + _NO_DIGEST)  # without the length of the header
    digest.update(memoryview(data)[where + 64 :])
    if digest.hexdigest() != sha256:
        raise InvalidModelFileError("its checksum is wrong: the file is damaged")
    require(isinstance(document, str), "the document", "is no text")
    try:
        stored = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise InvalidModelFileError(f"its arrays do not fit in the file: {error}") from error
    arrays = {}
    for name, entry in stored:
        if entry["dtype"] == "BOOL" and max(entry["data"], default=0) > 1:
            raise InvalidModelFileError(f"array {name!r} holds bytes that are no bools")
        array = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
        arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return _parse(document.encode("utf-8", "surrogatepass")), arrays, format_version


def _bytes_of(path: str | os.PathLike[str]) -> tuple[bytes, int, dict[str, Any]]:
    """A regular file that starts as ours do, read once, with its header and the length of it."""
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise InvalidModelFileError("it is no regular file but a pipe or a device")
        size = status.st_size
        start = file.read(8 + max(map(len, _STARTS)))
        if not start[8:].startswith(_STARTS):
            pickled = " and looks like a pickle" if start[:1] == b"\x80" else ""
            raise InvalidModelFileError(f"it was not written by sklearn_aae.save{pickled}")
        n_header = int.from_bytes(start[:8], "little")
        if not len(start) - 8 <= n_header <= min(size - 8, _MAX_HEADER):
            raise InvalidModelFileError(
                f"its header of {n_header} bytes does not fit in {size} bytes: the file is cut off "
                "or damaged"
            )
        header = start + file.read(8 + n_header - len(start))
        entries = _parse(header[8:])
        end = max((_end(n, e) for n, e in entries.items() if n != "__metadata__"), default=0)
        # Before memory is asked for: a sparse file may be of any size.
        if 8 + n_header + end != size:
            raise InvalidModelFileError(
                f"its arrays take {end} bytes, but the file holds {size - 8 - n_header}"
            )
        try:
            data = header + file.read(end + 1)
        except (MemoryError, OverflowError) as error:
            raise InvalidModelFileError(f"its {size} bytes are more than the memory") from error
    if len(data) != size:
        raise InvalidModelFileError("its size changed while it was read")
    return data, n_header, entries


def _open_at_once(path: str, flags: int) -> int:
    """Without waiting: nobody may ever write to a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _end(name: str, entry: Any) -> int:
    """Where an array ends, once its entry can be given to safetensors."""
    where = f"array {name!r}"
    check_keys(entry, {"dtype", "shape", "data_offsets"}, where)
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    require(isinstance(kind, str) and kind in _DTYPES, where, "has an unknown dtype")
    ok = isinstance(shape, list) and len(shape) <= 32 and all(_is_count(n) for n in shape)
    require(ok, where, "has an impossible shape")
    ok = isinstance(offsets, list) and len(offsets) == 2 and all(_is_count(n) for n in offsets)
    # An empty array has no bytes that its other dimensions could be held against.
    empty = ok and offsets[0] == offsets[1] and max(shape, default=0) > 2**24
    require(ok and not empty, where, "does not fit in the file")
    return offsets[1]


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


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


def _checked_version(version: Any) -> int:
    if not isinstance(version, str) or not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise InvalidModelFileError("it does not say the version of its format")
    if int(version) > FORMAT_VERSION:
        raise InvalidModelFileError(
            f"its format has version {version} and this release reads up to {FORMAT_VERSION}. "
            "Install a newer sklearn-aae"
        )
    return int(version)


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

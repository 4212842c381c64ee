"""Files of arrays and plain values, written so that a reader sees the old or the new one, whole."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_PARTIAL = ".partial"
# Key of the JSON text among the arrays.
_VALUES = "values"


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill a file of another name, and give it the name `path` once it is on disk.

    Whatever happens on the way, a crash of the machine included, `path` is what it was before or
    is complete. After a SIGKILL an unfinished file may stay beside it: `remove_leftovers`.
    """
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        # Nor may what went wrong be hidden by a failure to tidy up.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere directories cannot be opened
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # the new name, too
        finally:
            os.close(directory)


def check_writable(path: Path) -> None:
    """Raise the OSError that `write_atomically` would meet in a directory that takes no files."""
    temporary = _temporary(path)
    temporary.open("xb").close()
    temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return Path(f"{path}.{uuid.uuid4().hex}{_PARTIAL}")


def remove_leftovers(path: Path) -> None:
    """Remove the unfinished files of a `write_atomically` that was killed."""
    for leftover in path.parent.glob(f"{path.name}.*{_PARTIAL}"):
        leftover.unlink(missing_ok=True)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write dicts and lists of arrays and plain values as one ``.npz`` file, without pickle."""
    arrays: dict[str, np.ndarray] = {}
    values = _without_arrays(state, "state", arrays)
    arrays[_VALUES] = np.array(json.dumps(values))

    def write(file: BinaryIO) -> None:
        np.savez(file, allow_pickle=False, **arrays)

    write_atomically(path, write)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read.
    """
    try:
        # Opened here: np.load leaves files open that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        values = json.loads(str(arrays.pop(_VALUES)))
        return _with_arrays(values, arrays)
    except FileNotFoundError:
        raise
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} cannot be read: {error}. It is damaged or was not written by this library. "
            "Delete it to start afresh."
        ) from error


def _without_arrays(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """Value with each array replaced by {"array": name}, and the array put into `arrays`."""
    if isinstance(value, dict):
        return {
            "dict": [
                [key, _without_arrays(part, f"{name}/{key}", arrays)] for key, part in value.items()
            ]
        }
    if isinstance(value, (list, tuple)):
        return [_without_arrays(part, f"{name}/{i}", arrays) for i, part in enumerate(value)]
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"{name}: arrays of objects cannot be saved without pickle.")
        arrays[name] = value
        return {"array": name}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"{name}: a value of type {type(value).__name__} cannot be saved without pickle. Use "
        "arrays, numbers, strings, and dicts and lists of them."
    )


def _with_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(part, arrays) for part in value]
    if isinstance(value, dict):
        if "array" in value:
            return arrays[value["array"]]
        return {key: _with_arrays(part, arrays) for key, part in value["dict"]}
    return value

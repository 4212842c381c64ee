"""Warnings that point at the line of the user, however deep below it they arise."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Frames between a user's call and ours: scikit-learn validates around `fit`.
_BETWEEN = ("sklearn_aae", "sklearn", "skorch", "torch", "contextlib")


# Where warnings go instead, of this thread only.
_COLLECTED: ContextVar[list[tuple[str, type[Warning]]] | None] = ContextVar(
    "collected", default=None
)


@contextmanager
def collected_warnings() -> Iterator[list[tuple[str, type[Warning]]]]:
    """A list of text and category of each warning in the block, which are said elsewhere.

    `warnings.catch_warnings` is one for all threads, and workers of a cluster may be threads.
    """
    said: list[tuple[str, type[Warning]]] = []
    token = _COLLECTED.set(said)
    try:
        yield said
    finally:
        _COLLECTED.reset(token)


def warn_user(message: str | Warning, category: type[Warning] | None = None) -> None:
    """Warn of something with the file and line of the call that left the user's code."""
    said = _COLLECTED.get()
    if said is not None:
        said.append((str(message), category or UserWarning))
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)

"""Warnings that point at the line of the user, however deep below it they arise."""

from __future__ import annotations

import sys
import warnings

# Frames between a user's call and ours: scikit-learn validates around `fit`.
_BETWEEN = ("sklearn_aae", "sklearn", "skorch", "torch", "contextlib")


def warn_user(message: str | Warning, category: type[Warning] | None = None) -> None:
    """Warn of something with the file and line of the call that left the user's code."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)

"""Who trains: one process, or several with rows of their own that keep equal weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor


class Group(Protocol):
    """Processes that train together. Each is told apart by its `rank`, from 0 to ``size - 1``."""

    rank: int
    size: int

    def gather(self, value: Any) -> list[Any]:
        """What all have, in the order of their ranks; called by all."""

    def average(
        self, gradients: Sequence[Tensor], values: dict[str, Tensor], n_rows: int
    ) -> dict[str, Tensor]:
        """Means over all rows of what each has as means over its own; called by all.

        Gradients are changed in place, values returned.
        """


class Alone:
    """A process that trains by itself."""

    rank = 0
    size = 1

    def gather(self, value: Any) -> list[Any]:
        """The value itself."""
        return [value]

    def average(
        self, gradients: Sequence[Tensor], values: dict[str, Tensor], n_rows: int
    ) -> dict[str, Tensor]:
        """Nothing changes."""
        return values


ALONE = Alone()

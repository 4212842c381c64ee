"""Who trains: one process, or several with rows of their own that keep equal weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor


class Group(Protocol):
    """Processes that train together, each told apart by its rank.

    What it has is called by all of them, as often and in the same order.

    Attributes
    ----------
    rank, size : int
        Ranks are those from 0 to ``size - 1``.
    balance : float
        In a step, what a mean over the rows at hand that critics see has to be multiplied by, so
        that means over all rows at hand, averaged, average it over the rows that critics see.
    """

    rank: int
    size: int
    balance: float

    def gather(self, value: Any) -> list[Any]:
        """What all have, in the order of their ranks."""

    def begin_step(self, n_rows: int, n_clean: int) -> None:
        """A step begins, on so many rows at hand, of which critics see the second number."""

    def average(
        self, gradients: Sequence[Tensor], values: dict[str, Tensor], *, clean: bool = False
    ) -> dict[str, Tensor]:
        """Means over all rows of a step, or those that critics see, of means over those at hand.

        Gradients are changed in place, values returned.
        """

    def n_rows(self, n_at_hand: int) -> int:
        """Rows of a step, of which so many are at hand, once there was an average."""


class Alone:
    """A process that trains by itself."""

    rank = 0
    size = 1
    balance = 1.0

    def gather(self, value: Any) -> list[Any]:
        """The value itself."""
        return [value]

    def begin_step(self, n_rows: int, n_clean: int) -> None:
        """Nothing to note."""

    def average(
        self, gradients: Sequence[Tensor], values: dict[str, Tensor], *, clean: bool = False
    ) -> dict[str, Tensor]:
        """Nothing changes."""
        return values

    def n_rows(self, n_at_hand: int) -> int:
        """All rows are at hand."""
        return n_at_hand


ALONE = Alone()

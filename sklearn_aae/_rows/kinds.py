"""Kinds of columns of a table: what a cell is as a number, and what a number is as a cell.

A cell is one number, its code: the value itself, seconds, 0 or 1, or the position of a category.
NaN is a missing cell, infinity a category that `fit` has not seen. The networks see a code as
`width` numbers, and what they say of a column is as wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

# Categories of a column that are told apart; all rarer ones are one. What 255 categories do not
# say of a row, a column of identifiers does not either (as in HistGradientBoostingClassifier).
MAX_CATEGORIES = 255


@dataclass(frozen=True)
class Kind:
    """What the cells of one column are."""

    # How the likelihood of the column is called; that of numbers is the estimator's own.
    likelihood: ClassVar[str] = "number"

    @property
    def width(self) -> int:
        """Numbers that the networks see of a cell."""
        return 1

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Codes (n,) of cells, float64."""
        return values

    def cells(self, codes: np.ndarray) -> np.ndarray:
        """Cells of codes, as `codes` takes them."""
        return codes


@dataclass(frozen=True)
class Number(Kind):
    """A number; a whole one where `lowest` and `highest` are given, within these.

    Parameters
    ----------
    lowest, highest : int or None
        Range of an integer type.
    """

    lowest: int | None = None
    highest: int | None = None

    def cells(self, codes: np.ndarray) -> np.ndarray:
        if self.lowest is None:
            return codes
        return np.clip(np.round(codes), self.lowest, self.highest)


@dataclass(frozen=True)
class Moment(Kind):
    """A date or a duration, in seconds since 1970 or since nothing.

    Parameters
    ----------
    resolution : float
        Seconds that it is a multiple of.
    """

    resolution: float = 1e-6

    def cells(self, codes: np.ndarray) -> np.ndarray:
        return np.round(codes / self.resolution) * self.resolution


@dataclass(frozen=True)
class Boolean(Kind):
    """Yes or no, 1 or 0; as a code, the probability of yes."""

    likelihood: ClassVar[str] = "boolean"

    def cells(self, codes: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(codes), codes, codes >= 0.5)


@dataclass(frozen=True)
class Category(Kind):
    """One of some values that have no order.

    Parameters
    ----------
    values : tuple of str, float, int or bool
        Categories that are told apart, sorted, by their code.
    rare : tuple of the same, default=()
        Categories that share one further code, the most frequent first.
    """

    values: tuple[Any, ...]
    rare: tuple[Any, ...] = ()

    likelihood: ClassVar[str] = "category"

    @property
    def width(self) -> int:
        # A column of nothing but missing cells still has a place.
        return max(1, len(self.values) + bool(self.rare))

    def codes(self, values: np.ndarray) -> np.ndarray:
        known = {value: float(i) for i, value in enumerate(self.values)}
        known.update((value, float(len(self.values))) for value in self.rare)
        known[None] = np.nan
        cells = (None if cell != cell else cell for cell in values.tolist())  # NaN is not itself
        return np.fromiter((known.get(cell, np.inf) for cell in cells), np.float64, len(values))

    def cells(self, codes: np.ndarray) -> np.ndarray:
        told = np.empty(self.width + 1, dtype=object)
        told[: len(self.values)] = self.values
        if self.rare:
            told[len(self.values)] = self.rare[0]
        positions = np.where(np.isfinite(codes), codes, self.width).astype(np.intp)
        return told[positions]


def count_categories(values: np.ndarray) -> dict[Any, int]:
    """How often each category is among cells, of which None and NaN are missing."""
    counts: dict[Any, int] = {}
    for cell in values.tolist():
        if cell is not None and cell == cell:
            counts[cell] = counts.get(cell, 0) + 1
    return counts


def fit_category(counts: dict[Any, int]) -> Category:
    """The categories of a column, from how often each occurs."""
    if len(counts) <= MAX_CATEGORIES + 1:
        return Category(tuple(sorted(counts)))
    by_frequency = sorted(counts, key=lambda value: (-counts[value], value))
    frequent, rare = by_frequency[:MAX_CATEGORIES], by_frequency[MAX_CATEGORIES:]
    return Category(tuple(sorted(frequent)), tuple(rare))

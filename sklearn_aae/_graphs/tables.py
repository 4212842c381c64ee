"""Tables in graphs: one number for each cell, as `sklearn_aae._rows.kinds` has them.

A number stands for itself, a date or a duration for its seconds, a boolean for 1 or 0, and a
category for its position among those that the metadata list; NaN is a missing cell, and any other
number in the place of a category one that `fit` has not seen.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from sklearn_aae._learned.gaps import GapCorrection
from sklearn_aae._rows.kinds import Boolean, Category, Kind, Moment, Number


class Cells(NamedTuple):
    """Rows (n, n_inputs) as the networks see them, and cells (n, n_columns) of no known value."""

    rows: Tensor
    missing: Tensor
    unseen: Tensor


def widened(X: Tensor, kinds: tuple[Kind, ...]) -> Cells:
    """Cells as the networks see them, and what is not known of them."""
    if not any(isinstance(kind, Category) for kind in kinds):
        return Cells(X, X.isnan(), torch.zeros_like(X, dtype=torch.bool))
    wide, unseen = [], []
    for j, kind in enumerate(kinds):
        cell = X[:, j : j + 1]
        if not isinstance(kind, Category):
            wide.append(cell)
            unseen.append(torch.zeros_like(cell, dtype=torch.bool))
            continue
        block = cell == torch.arange(kind.width, dtype=X.dtype)
        known = block.any(dim=1, keepdim=True)
        wide.append(torch.where(known, block.to(X.dtype), torch.nan))
        unseen.append(~known & ~cell.isnan())
    all_unseen = torch.cat(unseen, dim=1)
    return Cells(torch.cat(wide, dim=1), X.isnan() | all_unseen, all_unseen)


def narrowed(rows: Tensor, kinds: tuple[Kind, ...]) -> Tensor:
    """Decoded rows as cells: whole numbers, yes or no, and the most probable categories."""
    if all(kind == Number() for kind in kinds):
        return rows
    cells, start = [], 0
    for kind in kinds:
        block = rows[:, start : start + kind.width]
        start += kind.width
        if isinstance(kind, Category):
            cells.append(block.argmax(dim=1, keepdim=True).to(rows.dtype))
        elif isinstance(kind, Boolean):
            cells.append((block >= 0.5).to(rows.dtype))
        elif isinstance(kind, Moment):
            cells.append((block / kind.resolution).round() * kind.resolution)
        elif isinstance(kind, Number) and kind.lowest is not None:
            lowest, highest = torch.tensor([kind.lowest, kind.highest], dtype=rows.dtype)
            cells.append(torch.minimum(torch.maximum(block.round(), lowest), highest))
        else:
            cells.append(block)
    return torch.cat(cells, dim=1)


def corrected(scores: Tensor, missing: Tensor, correction: GapCorrection) -> Tensor:
    """What `GapCorrection.corrected` computes."""
    # Constants are tensors: of bounds given as floats, graphs keep seven digits.
    shares, medians, stretches = (torch.from_numpy(levels.copy()) for levels in correction)
    share = missing.double().mean(dim=1)
    median = _interpolated(share, shares, medians)
    moved = medians[0] + _interpolated(share, shares, stretches) * (scores - median)
    return torch.where(share > shares[0], moved, scores)


def _interpolated(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """As `numpy.interp`."""
    widths = xs.diff()
    on_the_way = torch.minimum((x[:, None] - xs[:-1]).relu(), widths) / widths
    return ys[0] + (on_the_way * ys.diff()).sum(dim=1)


def described(table: Any) -> list[dict[str, Any]]:
    """What the cells of each column stand for, for the metadata."""
    columns = []
    for name, kind in zip(table.names, table.kinds, strict=True):
        column: dict[str, Any] = {"name": str(name), "kind": type(kind).__name__.lower()}
        if isinstance(kind, Category):
            column["categories"] = list(kind.values)
            if kind.rare:
                column["rare"] = list(kind.rare)
        if isinstance(kind, Moment):
            column["kind"] = "seconds"
        columns.append(column)
    return columns

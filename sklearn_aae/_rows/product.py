"""The likelihood of a table: a product over its columns, of the cells that are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import xlogy
from torch import Tensor

from sklearn_aae._rows.likelihoods import LIKELIHOODS, Likelihood

# Entropy in nats that a column of categories has at least, as the unit of its deviance: that of two
# categories of which one has 1 row in 100. With its own, a rarer one would rule the loss.
_LEAST_ENTROPY = 0.056


@dataclass(frozen=True, eq=False)
class Product(Likelihood):
    """p(x|z) of rows whose columns are numbers, booleans and categories; NaN is a missing cell.

    Parameters
    ----------
    numbers : str
        Likelihood of the numbers, by name.
    kinds : tuple of str
        "number", "boolean" or "category" for each column.
    widths : tuple of int
        Outputs for each column: the logits of a category, one after the other, or 1.
    units : Tensor of shape (n_columns,)
        What a nat of each boolean or category counts in its deviance.
    """

    numbers: str = "gaussian"
    kinds: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    units: Tensor = field(default_factory=lambda: torch.ones(0))

    name: ClassVar[str] = "product"

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Product:
        fields = (self.center, self.scale, self.baseline, self.units)
        center, scale, baseline, units = (t.to(device=device, dtype=dtype) for t in fields)
        of_columns = (self.numbers, self.kinds, self.widths, units)
        return Product(center, scale, baseline, self.knee, *of_columns)

    @property
    def starts(self) -> list[int]:
        """First output of each column."""
        return [0, *np.cumsum(self.widths).tolist()[:-1]]

    def _positions(self, kind: str) -> tuple[list[int], list[int]]:
        """Columns of a kind, and the outputs that are theirs, for kinds with one output."""
        columns = [j for j, k in enumerate(self.kinds) if k == kind]
        starts = self.starts
        return columns, [starts[j] for j in columns]

    def _of_numbers(self, outputs: list[int]) -> Likelihood:
        center, scale, baseline = (t[outputs] for t in (self.center, self.scale, self.baseline))
        return LIKELIHOODS[self.numbers](center, scale, baseline, self.knee)

    def _blocks(self) -> list[tuple[int, slice]]:
        return [
            (j, slice(start, start + self.widths[j]))
            for j, start in enumerate(self.starts)
            if self.kinds[j] == "category"
        ]

    def mean(self, output: Tensor) -> Tensor:
        mean = torch.empty_like(output)
        _, numbers = self._positions("number")
        if numbers:
            mean[:, numbers] = self._of_numbers(numbers).mean(output[:, numbers])
        _, booleans = self._positions("boolean")
        mean[:, booleans] = output[:, booleans].sigmoid()
        for _, block in self._blocks():
            mean[:, block] = output[:, block].softmax(dim=1)
        return mean

    def deviance(self, output: Tensor, x: Tensor) -> Tensor:
        """Loss of each cell, tensor (n, n_columns): 0 where it is missing."""
        loss = self._log_loss(output, x, exact=False)
        return loss.where(~self._missing(x), 0.0)

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log-likelihood of each cell in nats, (n, n_columns): 0 where it is missing."""
        loss = self._log_loss(output, x, exact=True)
        return (-loss).where(~self._missing(x), 0.0)

    def row_log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log-likelihood of each row in nats, (n,): the mean of its cells, for all columns."""
        observed = (~self._missing(x)).sum(dim=1)
        return self.log_prob(output, x).sum(dim=1) * len(self.kinds) / observed.clamp(min=1)

    def _missing(self, x: Tensor) -> Tensor:
        return x[:, self.starts].isnan()

    def _log_loss(self, output: Tensor, x: Tensor, *, exact: bool) -> Tensor:
        """Loss of each cell: its deviance, or exactly what it is in nats less."""
        x = x.nan_to_num(0.0)
        columns: list[Tensor | None] = [None] * len(self.kinds)
        positions, numbers = self._positions("number")
        if numbers:
            of_numbers = self._of_numbers(numbers)
            if exact:
                losses = -of_numbers.log_prob(output[:, numbers], x[:, numbers])
            else:
                losses = of_numbers.deviance(output[:, numbers], x[:, numbers])
            for j, loss in zip(positions, losses.unbind(dim=1), strict=True):
                columns[j] = loss
        p = self._raw(x).clamp(0, 1)
        units = torch.ones_like(self.units) if exact else self.units
        positions, booleans = self._positions("boolean")
        if booleans:
            losses = F.binary_cross_entropy_with_logits(
                output[:, booleans], p[:, booleans], reduction="none"
            )
            for j, loss in zip(positions, losses.unbind(dim=1), strict=True):
                columns[j] = units[j] * loss
        for j, block in self._blocks():
            columns[j] = -units[j] * (p[:, block] * output[:, block].log_softmax(dim=1)).sum(dim=1)
        return torch.stack([c for c in columns if c is not None], dim=1)

    def constant_output(self) -> Tensor:
        output = torch.empty_like(self.baseline)
        _, numbers = self._positions("number")
        if numbers:
            output[numbers] = self._of_numbers(numbers).constant_output()
        _, booleans = self._positions("boolean")
        output[booleans] = torch.logit(self.baseline[booleans], eps=1e-6)
        for _, block in self._blocks():
            output[block] = self.baseline[block].clamp(min=1e-12).log()
        return output


def make_product(
    numbers: str,
    kinds: tuple[str, ...],
    widths: tuple[int, ...],
    center: np.ndarray,
    scale: np.ndarray,
    baseline: np.ndarray,
    knee: float,
    unit: float,
) -> Product:
    """The likelihood of a table, in float64 on the CPU.

    `unit` is what an uninformed prediction of a boolean or a category is to lose on average: what
    one of a number loses. Other arguments are those of `Product`.
    """
    units, start = [], 0
    for kind, width in zip(kinds, widths, strict=True):
        p = baseline[start : start + width]
        p = np.array([p[0], 1 - p[0]]) if kind == "boolean" else p
        units.append(unit / max(entropy(p), _LEAST_ENTROPY) if kind != "number" else 1.0)
        start += width
    arrays = (np.array(a, dtype=np.float64) for a in (center, scale, baseline, units))
    of_center, of_scale, of_baseline, of_units = map(torch.tensor, arrays)
    return Product(of_center, of_scale, of_baseline, knee, numbers, kinds, widths, of_units)


def entropy(p: np.ndarray) -> float:
    """-sum of p log p, in nats."""
    return float(-xlogy(p, p).sum())

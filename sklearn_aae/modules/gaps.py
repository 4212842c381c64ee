"""An encoder that is told which cells of a row are there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class GapEncoder(nn.Module):
    """A network for rows with missing cells, which are NaN.

    The network sees 0 in their place, the centre of a standardised column, and beside the row,
    where it `sees_gaps`, 1 for each cell that is there and 0 for each that is not.

    Parameters
    ----------
    network : nn.Module
        From rows, and what is beside them, to codes.
    starts : sequence of int
        First position in a row of each cell, which takes up all positions until the next.
    width : int
        Positions of all cells. What a row holds beyond is passed on.
    sees_gaps : bool, default=True
        Whether the network is told.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import GapEncoder, MultilayerPerceptron
    >>> encoder = GapEncoder(MultilayerPerceptron(5 + 3, 2), starts=(0, 1, 4), width=5)
    >>> encoder(torch.full((4, 5), torch.nan)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self, network: nn.Module, starts: Sequence[int], width: int, sees_gaps: bool = True
    ) -> None:
        super().__init__()
        self.network = network
        self.starts = tuple(starts)
        self.width = width
        self.sees_gaps = sees_gaps

    def forward(self, x: Tensor) -> Tensor:
        if self.sees_gaps:
            observed = ~x[:, self.starts].isnan()
            x = torch.cat([x, observed.to(x.dtype)], dim=1)
        return self.network(x.nan_to_num(0.0))

    def hidden(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Rows with some of their cells missing too: of each row another share, from 0 to 1."""
        n, n_cells = len(x), len(self.starts)
        share = torch.rand((n, 1), generator=generator, device=x.device)
        drawn = torch.rand((n, n_cells), generator=generator, device=x.device)
        widths = torch.tensor([*self.starts[1:], self.width]) - torch.tensor(self.starts)
        hidden = (drawn < share).repeat_interleave(widths.to(x.device), dim=1)
        return x.masked_fill(hidden, torch.nan)

"""Columns and networks of a fitted estimator as functions of tensors, in one dtype."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_aae._graphs.tables import Cells, narrowed, widened
from sklearn_aae._rows.chunks import in_dtype
from sklearn_aae._rows.inference import Inference
from sklearn_aae._rows.scaling import squashed


class Parts:
    """What the methods of an estimator are made of: rows and codes in, tensors out.

    Parameters
    ----------
    model : estimator of sklearn_aae
        Fitted; it is copied to the CPU.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, model: Any, dtype: np.dtype) -> None:
        self.model = model
        self.autoencoder = in_dtype(copy.deepcopy(model.net_.module_).cpu(), dtype).eval()
        self.inference = Inference(model._columns, self.autoencoder, "cpu")
        self.discriminator = in_dtype(copy.deepcopy(model.discriminator_).cpu(), dtype).eval()
        self.dtype = torch.float64 if dtype == np.float64 else torch.float32
        table = vars(model).get("_table")
        self.kinds = None if table is None else table.kinds
        self.has_gaps = table is not None and table.has_gaps

    @property
    def modules(self) -> nn.ModuleList:
        """What a graph has to know as modules, for their weights to be its own."""
        return nn.ModuleList([self.autoencoder, self.discriminator])

    def standardized(self, X: Tensor) -> Tensor:
        """Rows in the units of the networks."""
        columns = self.inference.columns
        rows = X if self.kinds is None else self.cells(X).rows
        return squashed(columns.scaled(rows), columns.knee)

    def cells(self, X: Tensor) -> Cells:
        """Rows of a table as the networks see them, and what is not known of them."""
        assert self.kinds is not None
        return widened(X, self.kinds)

    def given_back(self, rows: Tensor) -> Tensor:
        """Decoded rows with one number for each cell."""
        return rows if self.kinds is None else narrowed(rows, self.kinds)

    def codes(self, X: Tensor) -> Tensor:
        """Codes of rows, style and probabilities of classes side by side."""
        return self.autoencoder.encode(self.standardized(X))

    def styles(self, X: Tensor) -> Tensor:
        """Codes of rows, or their style part."""
        return self.codes(X)[:, : self.autoencoder.n_components]

    def categories(self, X: Tensor) -> Tensor:
        """Probabilities of the classes."""
        return self.codes(X)[:, self.autoencoder.n_components :]

    def reconstruct(self, X: Tensor) -> Tensor:
        """Rows encoded and decoded."""
        return self.given_back(self.inference.mean(self.autoencoder(self.standardized(X))))

    def decode(self, inputs: Tensor) -> Tensor:
        """Rows that the decoder makes of its inputs, by way of the inverse of a flow."""
        flow = self.autoencoder.flow
        inputs = inputs if flow is None else flow.inverse(inputs)
        return self.given_back(self.inference.mean(self.autoencoder.decoder(inputs)))

    def decode_class(self, styles: Tensor, is_class: Tensor) -> Tensor:
        """Rows of styles and of the classes (n, n_classes) that are true; NaN where none is."""
        known = is_class.any(dim=1, keepdim=True)
        rows = self.decode(torch.cat([styles, is_class.to(styles.dtype)], dim=1))
        return torch.where(known, rows, torch.nan)

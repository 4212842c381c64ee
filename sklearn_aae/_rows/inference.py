"""A trained autoencoder at work: rows to codes and back, in the units and the dtype of X."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_aae._rows.chunks import SelectedRows, apply_in_chunks, in_dtype
from sklearn_aae._rows.columns import Columns
from sklearn_aae._rows.scaling import squashed
from sklearn_aae.modules import Autoencoder


class Inference:
    """Columns and networks, applied chunk by chunk; neither is changed.

    Parameters
    ----------
    columns : Columns
        How rows are standardised.
    autoencoder : Autoencoder
        In eval mode.
    device : torch.device or str
        Where the networks are.
    verbose : bool, default=False
        Whether to show a bar over many rows.
    """

    def __init__(
        self,
        columns: Columns,
        autoencoder: Autoencoder,
        device: torch.device | str,
        *,
        verbose: bool = False,
    ) -> None:
        self.columns = columns
        self.autoencoder = autoencoder
        self.device = torch.device(device)
        self.verbose = verbose

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return len(self.columns.center)

    def encode(self, X: np.ndarray | SelectedRows) -> np.ndarray:
        """Codes of rows, or their style part, (n_samples, n_components)."""
        k = self.autoencoder.n_components
        return self.on_codes(lambda _, codes: codes[:, :k], X, k)

    def encode_unmapped(self, X: np.ndarray) -> np.ndarray:
        """Codes of rows as they are before a flow."""
        autoencoder = self.in_dtype_of(X)
        k = autoencoder.n_components

        def codes(x: Tensor) -> Tensor:
            return autoencoder.encode(x, bounded=False, mapped=False)[:, :k]

        return self._in_chunks(codes, X, k, self._bounded)

    def categories(self, X: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, which follow the style in the codes."""
        k, n_classes = self.autoencoder.n_components, self.autoencoder.n_classes
        return self.on_codes(lambda _, codes: codes[:, k:], X, n_classes)

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Rows encoded and decoded."""
        autoencoder = self.in_dtype_of(X)

        def reconstructed(x: Tensor) -> Tensor:
            return self.mean(autoencoder.reconstruct(x, bounded=False))

        return self._in_chunks(reconstructed, X, self.n_features, self._bounded)

    def decode(self, inputs: np.ndarray) -> np.ndarray:
        """Rows that the decoder makes of its inputs, by way of the inverse of a flow."""
        decoder = in_dtype(self.autoencoder.decoder, inputs.dtype)
        flow = self.autoencoder.flow
        flow = None if flow is None else in_dtype(flow, inputs.dtype)

        def decoded(z: Tensor) -> Tensor:
            return self.mean(decoder(z if flow is None else flow.inverse(z)))

        return self._in_chunks(decoded, inputs, self.n_features, torch.tensor)

    def split(self, autoencoder: Autoencoder, x: Tensor) -> tuple[Tensor, Tensor]:
        """Decoding and residual of standardised rows x, in standardised units, float64.

        A missing cell has none: it is what the others say.
        """
        decoded = self.mean(autoencoder(x)).double()
        exact = self.columns.likelihood.to(x.device, torch.float64)
        decoded = squashed(decoded.sub_(exact.center).div_(exact.scale), exact.knee)
        return decoded, torch.where(x.isnan(), 0.0, x.double() - decoded)

    def split_rows(self, X: np.ndarray | SelectedRows) -> tuple[np.ndarray, np.ndarray]:
        """Decodings and residuals (n_samples, n_features) of rows, in standardised units."""
        autoencoder, d = self.in_dtype_of(X), self.n_features

        def split(x: Tensor) -> Tensor:
            return torch.cat(self.split(autoencoder, x), dim=1)

        joined = self.on_rows(split, X, 2 * d).astype(np.float64)
        return joined[:, :d], joined[:, d:]

    def mean(self, output: Tensor) -> Tensor:
        """What the decoder's output means, in the units of X."""
        return self.columns.likelihood.to(output.device, output.dtype).mean(output)

    def in_dtype_of(self, X: Any) -> Autoencoder:
        """The networks in the precision of the data; the fitted ones are never changed."""
        return in_dtype(self.autoencoder, X.dtype)

    def on_rows(
        self, function: Callable[[Tensor], Tensor], X: np.ndarray | SelectedRows, width: int | None
    ) -> np.ndarray:
        """Apply a function of standardised rows to X; `apply_in_chunks` says what comes of it."""
        return self._in_chunks(function, X, width, self.columns.standardized)

    def on_codes(
        self, function: Callable[[Any, Tensor], Tensor], X: np.ndarray | SelectedRows, width: int
    ) -> np.ndarray:
        """Apply a function of the networks and the codes of rows to X."""
        autoencoder = self.in_dtype_of(X)

        def of_rows(x: Tensor) -> Tensor:
            return function(autoencoder, autoencoder.encode(x, bounded=False))

        return self._in_chunks(of_rows, X, width, self._bounded)

    def _bounded(self, chunk: np.ndarray) -> Tensor:
        return self.columns.bounded(chunk, self.autoencoder.lower, self.autoencoder.upper)

    def _in_chunks(
        self,
        function: Callable[[Tensor], Tensor],
        array: np.ndarray | SelectedRows,
        width: int | None,
        to_tensor: Callable[[np.ndarray], Tensor],
    ) -> np.ndarray:
        return apply_in_chunks(
            function, array, width, to_tensor, self.autoencoder, self.device, verbose=self.verbose
        )

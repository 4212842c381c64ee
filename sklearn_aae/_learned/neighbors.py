"""Nearest references of rows: squared distances and positions, in the precision of the rows."""

from __future__ import annotations

import numpy as np
import torch

# Squared distances come from products, |q|² + |r|² - 2 qr, and lose the digits by which they are
# smaller than these. Below this share of them they are taken from differences, which takes longer,
# and of some more neighbours, since their order may change.
_NEAR = {torch.float32: 0.1, torch.float64: 1e-6}
SPARE = 2


class NeighborSearch:
    """Squared distances of rows to their nearest references.

    Nothing is built beforehand: a search costs as much to set up as to find the neighbours of a
    few rows.

    Parameters
    ----------
    references : ndarray of shape (n_references, n_columns)
        float64.
    dtype : dtype
        float64, or float32 for rows that are known to that precision only, which takes less time.
    """

    def __init__(self, references: np.ndarray, dtype: np.dtype) -> None:
        self._references = references
        self._dtype = torch.float32 if dtype == np.float32 else torch.float64
        # Centred rows lose less to rounding; float64 has digits to spare.
        single = self._dtype == torch.float32
        self._center = references.mean(axis=0) if single else 0.0
        # torch warns of arrays that it must not write to, as those of a memory map.
        plain = references if references.flags.writeable else references.copy()
        centered = references - self._center if single else plain
        self._centered = torch.from_numpy(centered).to(self._dtype)
        self._half_norms = 0.5 * self._centered.square().sum(dim=1)

    def nearest(
        self, queries: np.ndarray, n_neighbors: int, excluded: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Squares and positions of the nearest references, nearest first.

        Parameters
        ----------
        queries : ndarray of shape (n_samples, n_columns)
            float64.
        n_neighbors : int
            At most as many as there are references, less one where some are excluded.
        excluded : ndarray of int of shape (n_samples,), default=None
            Position of a reference that a row is not compared with, -1 for none.

        Returns
        -------
        squares : ndarray of shape (n_samples, n_neighbors)
            float64.
        positions : ndarray of int of shape (n_samples, n_neighbors)
        """
        squares, positions = self._nearest(queries, n_neighbors, excluded)
        overflown = np.flatnonzero(~np.isfinite(squares).all(axis=1))
        if len(overflown) > 0 and self._dtype == torch.float32:
            exact = NeighborSearch(self._references, np.dtype("float64"))
            without = None if excluded is None else excluded[overflown]
            found = exact._nearest(queries[overflown], n_neighbors, without)
            squares[overflown], positions[overflown] = found
        return squares, positions

    def _nearest(
        self, queries: np.ndarray, n_neighbors: int, excluded: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        references = self._centered
        q = torch.from_numpy(queries - self._center).to(self._dtype)
        half_norms = 0.5 * q.square().sum(dim=1)
        # |q - r|² / 2 but for |q|² / 2, which all references have in common.
        halves = torch.addmm(self._half_norms, q, references.T, alpha=-1)
        if excluded is not None:
            rows = np.flatnonzero(excluded >= 0)
            halves[torch.from_numpy(rows), torch.from_numpy(excluded[rows])] = torch.inf
        n_found = min(n_neighbors + SPARE, len(references) - (excluded is not None))
        found = halves.topk(n_found, largest=False)
        squares = 2 * (found.values + half_norms[:, None])
        largest = self._half_norms[found.indices].amax(dim=1) + half_norms
        near = (squares[:, 0] < _NEAR[self._dtype] * largest).nonzero().squeeze(1)
        if len(near) > 0:
            x = q[near]
            differences = (references[r].sub_(x) for r in found.indices[near].T)
            squares[near] = torch.stack([d.square_().sum(dim=1) for d in differences], dim=1)
        nearest = squares.topk(n_neighbors, largest=False)
        positions = found.indices.gather(1, nearest.indices)
        return nearest.values.double().clamp(min=0).numpy(), positions.numpy()

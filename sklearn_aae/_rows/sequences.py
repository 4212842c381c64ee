"""Rows of tokens as the rest of the house takes rows, and what it does with them once trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from sklearn_aae._rows.chunks import SelectedRows, in_dtype
from sklearn_aae._rows.columns import Columns
from sklearn_aae._rows.inference import Inference
from sklearn_aae._rows.likelihoods import Likelihood
from sklearn_aae.modules import END, SequenceAutoencoder
from sklearn_aae.modules.sequences import generated

# Sequences at once: products of matrices of so many rows are as fast as of more.
_ROWS_PER_CHUNK = 256


class TokenRows:
    """Sequences of tokens, as dense rows where they are asked for.

    Parameters
    ----------
    sequences : sequence of ndarray of int
        The tokens of each row.

    Notes
    -----
    Tokens lie one after the other in memory, since most rows are much shorter than the longest.
    Dense rows are float64, as are numbers without a dtype of their own.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, sequences: Sequence[np.ndarray]) -> None:
        lengths = np.array([len(tokens) for tokens in sequences], dtype=np.int64)
        self.tokens = np.concatenate([*sequences, np.zeros(0, dtype=np.int32)])
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.shape = (len(lengths), max(1, int(lengths.max(initial=0))))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each row."""
        return np.diff(self.starts)

    def __getitem__(self, rows: Any) -> np.ndarray:
        starts, lengths = self.starts[:-1][rows], self.lengths[rows]
        dense = np.zeros((len(lengths), self.shape[1]))
        here = np.arange(self.shape[1]) < lengths[:, None]
        # The position of each token: where its row starts, and how far into it.
        offsets = np.broadcast_to(np.arange(self.shape[1]), here.shape)[here]
        dense[here] = self.tokens[np.repeat(starts, lengths) + offsets]
        return dense

    def arrays(self) -> Iterator[np.ndarray]:
        """All that the rows are made of."""
        yield from (self.tokens, self.starts)


@dataclass(frozen=True, eq=False)
class TokenLikelihood(Likelihood):
    """p(x|z) of sequences of tokens, which only the networks can tell: they put it out themselves.

    The output is the log-likelihood of each row in nats, (n, 1).
    """

    name: ClassVar[str] = "tokens"
    uninformed: ClassVar[str] = "the frequencies of tokens"

    def mean(self, output: Tensor) -> Tensor:
        return output

    def deviance(self, output: Tensor, x: Tensor) -> Tensor:
        return -output

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        return output


class TokenColumns(Columns):
    """Rows of tokens, which go to the networks as they are."""

    def standardized_range(self, X: Any, rows: np.ndarray | None = None) -> tuple[Tensor, Tensor]:
        """Of numbers that have no order, there is none."""
        zero = torch.zeros(1, dtype=torch.float64)
        return zero, zero


def token_columns() -> TokenColumns:
    """Columns of any number of tokens."""
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    return TokenColumns(TokenLikelihood(zero, one, zero, math.inf), TokenRows.dtype)


def token_frequencies(
    X: TokenRows, n_tokens: int, sample_weight: np.ndarray | None, rows: np.ndarray | None
) -> tuple[np.ndarray, float]:
    """Log-frequency of each token and the end, and the mean surprise of a row under them.

    Parameters
    ----------
    X : TokenRows
    n_tokens : int
        The special ones among them. Each counts half an occurrence more (Jeffreys' prior).
    sample_weight : ndarray of shape (n_samples,) or None
    rows : ndarray of int or None
        Rows that count; None for all.

    Returns
    -------
    log_p : ndarray of shape (n_tokens,)
    surprise : float
        In nats, of the tokens and the end of a row: the unit of the reconstruction loss.
    """
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    if rows is not None and weight[rows].any():
        chosen = np.zeros(len(X))
        chosen[rows] = weight[rows]
        weight = chosen
    of_tokens = np.repeat(weight, X.lengths)
    counts = np.bincount(X.tokens, weights=of_tokens, minlength=n_tokens)
    counts[END] = weight.sum()
    log_p = np.log((counts + 0.5) / (counts + 0.5).sum())
    surprise = -float(counts @ log_p) / float(weight.sum())
    return log_p, surprise


class SequenceInference(Inference):
    """A trained autoencoder of sequences at work: rows of tokens to codes, and codes to tokens.

    Its parameters are those of `Inference`.
    """

    autoencoder: SequenceAutoencoder

    def decode(self, inputs: np.ndarray) -> np.ndarray:
        """Tokens that codes say, the most probable one at each place: (n, longest) of int."""
        return self.drawn(inputs, 0.0, None)

    def drawn(self, inputs: np.ndarray, temperature: float, seed: int | None) -> np.ndarray:
        """Tokens that codes say, drawn with a temperature; the most probable ones with 0."""
        decoder = in_dtype(self.autoencoder.decoder, inputs.dtype)
        generator = None if seed is None else torch.Generator(self.device).manual_seed(seed)
        longest = self.autoencoder.longest
        said = np.zeros((len(inputs), longest), dtype=np.int64)
        with torch.inference_mode():
            for rows in gen_batches(len(inputs), _ROWS_PER_CHUNK):
                z = torch.tensor(inputs[rows]).to(self.device)
                said[rows] = generated(decoder, z, longest, temperature, generator).cpu().numpy()
        return said

    def reconstruct(self, X: Any) -> np.ndarray:
        """Tokens of rows encoded and decoded."""
        return self.decode(self.encode(X))

    def log_likelihood(self, X: Any, codes: np.ndarray | None = None) -> np.ndarray:
        """Log-likelihood of rows in nats given their own codes, or those that are passed."""
        autoencoder = self.in_dtype_of(X)
        given = None if codes is None else iter(gen_batches(len(codes), _ROWS_PER_CHUNK))

        def of_rows(x: Tensor) -> Tensor:
            if given is None or codes is None:
                z = autoencoder.encode(x)
            else:
                z = torch.tensor(codes[next(given)]).to(x)
            return autoencoder.predicted(z, x).squeeze(1)

        return self.on_rows(of_rows, X, None)

    def _in_chunks(
        self,
        function: Callable[[Tensor], Tensor],
        array: np.ndarray | SelectedRows,
        width: int | None,
        to_tensor: Callable[[np.ndarray], Tensor],
    ) -> np.ndarray:
        shape = (len(array),) if width is None else (len(array), width)
        out = np.empty(shape)
        with torch.inference_mode():
            for rows in gen_batches(len(array), _ROWS_PER_CHUNK):
                out[rows] = function(to_tensor(array[rows]).to(self.device)).cpu().numpy()
        return out


def n_counted(X: Any) -> np.ndarray:
    """Tokens of each row, the end among them."""
    if isinstance(X, SelectedRows):
        return n_counted(X.array)[X.positions]
    return X.lengths + 1

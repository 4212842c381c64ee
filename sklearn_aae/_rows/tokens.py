"""From strings to tokens and back: what a token is, and which of them are known."""

from __future__ import annotations

import math
import numbers
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sklearn_aae.modules import N_SPECIAL_TOKENS, UNKNOWN

# What a token starts with that no space stands before, as in WordPiece.
_TIED = "##"
# A word with what is tied to it by apostrophes, or a run of one mark of punctuation. Of "#" there
# are no runs, so that no token looks tied that is not. \u2019 is the curly apostrophe.
_WORD = re.compile(r"['\u2019]?\w+(?:['\u2019]\w+)*|([^\w\s#])\1*|#")


class Analyzer(Protocol):
    """How strings are cut into tokens, and joined again."""

    def split(self, strings: Sequence[str]) -> list[list[str]]:
        """Tokens of each string."""

    def join(self, sequences: Sequence[Sequence[str]]) -> list[str]:
        """A string for each sequence of tokens."""


@dataclass(frozen=True)
class Words:
    """Words and marks of punctuation.

    A token that no space stands before starts with ``##``, so that spaces come back as they were,
    runs of them as one.
    """

    def split(self, strings: Sequence[str]) -> list[list[str]]:
        return [[token for word in s.split() for token in _pieces(word)] for s in strings]

    def join(self, sequences: Sequence[Sequence[str]]) -> list[str]:
        return [_joined(tokens) for tokens in sequences]


def _pieces(word: str) -> list[str]:
    first, *others = [match.group() for match in _WORD.finditer(word)]
    return [first, *(_TIED + piece for piece in others)]


def _joined(tokens: Sequence[str]) -> str:
    parts: list[str] = []
    for token in tokens:
        tied = len(token) > len(_TIED) and token.startswith(_TIED)
        if parts and not tied:
            parts.append(" ")
        parts.append(token[len(_TIED) :] if tied else token)
    return "".join(parts)


@dataclass(frozen=True)
class Characters:
    """Code points."""

    def split(self, strings: Sequence[str]) -> list[list[str]]:
        return [list(s) for s in strings]

    def join(self, sequences: Sequence[Sequence[str]]) -> list[str]:
        return ["".join(tokens) for tokens in sequences]


@dataclass(frozen=True)
class Custom:
    """Tokens of a callable of the user, joined by spaces.

    Parameters
    ----------
    function : callable
        From a string to its tokens, a list of str.
    """

    function: Callable[[str], Sequence[str]]

    def split(self, strings: Sequence[str]) -> list[list[str]]:
        sequences = []
        for s in strings:
            tokens = self.function(s)
            if isinstance(tokens, str) or not all(isinstance(t, str) for t in tokens):
                raise TypeError(
                    f"analyzer={self.function!r} must return a list of str for a string, got "
                    f"{tokens!r} for {s[:50]!r}."
                )
            sequences.append(list(tokens))
        return sequences

    def join(self, sequences: Sequence[Sequence[str]]) -> list[str]:
        return [" ".join(tokens) for tokens in sequences]


@dataclass(frozen=True)
class Pretrained:
    """Tokens of a tokenizer of Hugging Face's `tokenizers`, which also joins them.

    Parameters
    ----------
    description : str
        The tokenizer in JSON, as its ``to_str`` gives it: models keep no live object of another
        library.
    """

    description: str

    def _tokenizer(self) -> Any:
        return import_tokenizers().Tokenizer.from_str(self.description)

    def split(self, strings: Sequence[str]) -> list[list[str]]:
        encoded = self._tokenizer().encode_batch(list(strings), add_special_tokens=False)
        return [encoding.tokens for encoding in encoded]

    def join(self, sequences: Sequence[Sequence[str]]) -> list[str]:
        tokenizer = self._tokenizer()
        ids = [[tokenizer.token_to_id(t) for t in tokens] for tokens in sequences]
        return list(tokenizer.decode_batch(ids))


def import_tokenizers() -> Any:
    """The package `tokenizers`; ImportError with the command that installs it."""
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            'analyzer="bpe" and tokenizers of Hugging Face need the package tokenizers: '
            'pip install "sklearn-aae[text]".'
        ) from error
    return tokenizers


def make_analyzer(analyzer: Any, strings: Sequence[str], max_features: int | None) -> Analyzer:
    """The analyzer that a parameter stands for; "bpe" is trained on the strings."""
    match analyzer:
        case "word":
            return Words()
        case "char":
            return Characters()
        case "bpe":
            return Pretrained(_byte_pairs(strings, max_features))
    if hasattr(analyzer, "encode_batch") and hasattr(analyzer, "to_str"):
        return Pretrained(analyzer.to_str())
    return Custom(analyzer)


# A tokenizer's own default.
_N_PAIRS = 30_000


def _byte_pairs(strings: Sequence[str], max_features: int | None) -> str:
    """A byte-pair encoding of the strings, in JSON; the bytes are those of UTF-8.

    Bytes are merged within words, with the space before them, so that every string comes back.
    """
    tokenizers = import_tokenizers()
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=_N_PAIRS if max_features is None else max_features,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(strings, trainer)
    return str(tokenizer.to_str())


@dataclass(frozen=True, eq=False)
class Tokens:
    """What `fit` has learned of strings: how they are cut, and which tokens are known.

    Parameters
    ----------
    analyzer : Analyzer
    vocabulary : dict of str to int
        Known tokens and their positions, from 0.
    lowercase : bool
        Whether strings are made lower case first.
    max_length : int
        Tokens of a string that count, from its start.
    """

    analyzer: Any
    vocabulary: dict[str, int]
    lowercase: bool
    max_length: int

    @property
    def n_tokens(self) -> int:
        """Number of tokens that networks know, the special ones among them."""
        return len(self.vocabulary) + N_SPECIAL_TOKENS

    def ids(self, strings: Sequence[str]) -> tuple[list[np.ndarray], int]:
        """Tokens of each string as the networks number them, and how many strings were cut."""
        sequences = _split(self.analyzer, strings, self.lowercase)
        known = {token: i + N_SPECIAL_TOKENS for token, i in self.vocabulary.items()}
        n_cut = sum(len(tokens) > self.max_length for tokens in sequences)
        return [
            np.array([known.get(t, UNKNOWN) for t in tokens[: self.max_length]], dtype=np.int32)
            for tokens in sequences
        ], n_cut

    def strings(self, ids: np.ndarray) -> np.ndarray:
        """Strings of rows of tokens, (n, length), each up to its first special token."""
        names = list(self.vocabulary)
        ended = ids < N_SPECIAL_TOKENS
        lengths = np.where(ended.any(axis=1), ended.argmax(axis=1), ids.shape[1])
        sequences = [
            [names[i - N_SPECIAL_TOKENS] for i in row[:n].tolist()]
            for row, n in zip(ids, lengths, strict=True)
        ]
        made = np.empty(len(ids), dtype=object)
        made[:] = self.analyzer.join(sequences)
        return made


def _split(analyzer: Any, strings: Sequence[str], lowercase: bool) -> list[list[str]]:
    if lowercase:
        strings = [s.lower() for s in strings]
    return list(analyzer.split(strings))


def fit_tokens(
    strings: Sequence[str],
    analyzer: Any,
    *,
    lowercase: bool,
    max_features: int | None,
    min_df: float,
    max_length: int,
) -> Tokens:
    """Learn which tokens strings are made of.

    Raises
    ------
    ValueError
        If no token is left.
    """
    lowered = [s.lower() for s in strings] if lowercase else strings
    made = make_analyzer(analyzer, lowered, max_features)
    sequences = [tokens[:max_length] for tokens in made.split(lowered)]
    counts = Counter(token for tokens in sequences for token in tokens)
    if not counts:
        raise ValueError(
            "X holds no token: all strings are empty, or the analyzer makes none of them, got "
            f"{len(strings)} strings with analyzer={analyzer!r}."
        )
    least = min_df if isinstance(min_df, numbers.Integral) else math.ceil(min_df * len(strings))
    if least > 1:
        found_in = Counter(token for tokens in sequences for token in set(tokens))
        counts = Counter({t: n for t, n in counts.items() if found_in[t] >= least})
        if not counts:
            raise ValueError(
                f"min_df={min_df!r} leaves no token: none is in as many strings. Lower min_df."
            )
    # The most frequent, and of equally frequent ones the first in the alphabet.
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    kept = sorted(ranked if max_features is None else ranked[:max_features])
    return Tokens(made, {token: i for i, token in enumerate(kept)}, lowercase, max_length)

"""Networks for sequences of tokens, and the autoencoder made of two of them.

Rows of tokens are ints, (n, length), with `PADDING` after the end of shorter ones. A decoder sees
`END` first and is to say `END` last.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from sklearn_aae.modules.autoencoders import Autoencoder
from sklearn_aae.modules.multilayer import make_layer

PADDING, END, UNKNOWN = 0, 1, 2
N_SPECIAL_TOKENS = 3

# Tokens outside a batch that stand for all such in a softmax of training: with 8,600 tokens, a
# softmax over all took half of a step.
_N_SAMPLED = 500
# Probabilities at once where a softmax is over all tokens.
_VALUES_AT_ONCE = 2**21


class SequenceEncoder(nn.Module):
    """From rows of tokens to codes: a bidirectional GRU, whose states are pooled.

    The code is a linear function of mean and maximum of the states and of the sum of the
    embeddings over the square root of their number: the last state alone forgets what came first,
    and which words there are is most of what a short string says.

    Parameters
    ----------
    n_tokens : int
        Number of tokens, the special ones among them.
    out_features : int
        Width of the output.
    embedding_size : int, default=128
        Width of the embedding of a token.
    hidden_size : int, default=128
        Width of the state of each direction.
    generator : torch.Generator, default=None
        Source of the initial weights; None draws from torch's global generator.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import SequenceEncoder
    >>> encoder = SequenceEncoder(n_tokens=10, out_features=2)
    >>> encoder(torch.tensor([[3, 4, 5], [6, 0, 0]])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        n_tokens: int,
        out_features: int,
        embedding_size: int = 128,
        hidden_size: int = 128,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_tokens = n_tokens
        self.out_features = out_features
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.embedding = make_embedding(n_tokens, embedding_size, generator)
        self.recurrent = make_recurrent(embedding_size, hidden_size, generator, bidirectional=True)
        self.output = make_linear(4 * hidden_size + embedding_size, out_features, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != PADDING).sum(dim=1).clamp(min=1)
        embedded = self.embedding(tokens)
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = self.recurrent(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=tokens.shape[1])
        here = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        n = lengths[:, None].to(embedded.dtype)
        mean = states.sum(dim=1) / n  # 0 beyond the end
        largest = states.masked_fill(~here[:, :, None], -1.0).amax(dim=1)
        words = (embedded * here[:, :, None]).sum(dim=1) / n.sqrt()
        return self.output(torch.cat([mean, largest, words], dim=1))


class SequenceDecoder(nn.Module):
    """From codes to tokens: a GRU that sees the code and the last token at each step.

    Parameters
    ----------
    in_features : int
        Width of the code.
    n_tokens : int
        Number of tokens, the special ones among them.
    embedding_size : int, default=128
        Width of the embedding of a token, which also scores it as the next one (Press and Wolf,
        2017).
    hidden_size : int, default=256
        Width of the state.
    generator : torch.Generator, default=None
        Source of the initial weights; None draws from torch's global generator.

    References
    ----------
    Press and Wolf (2017), "Using the output embedding to improve language models",
    https://arxiv.org/abs/1608.05859

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import SequenceDecoder
    >>> decoder = SequenceDecoder(in_features=2, n_tokens=10)
    >>> decoder(torch.zeros(3, 2), torch.ones(3, 4, dtype=torch.int64)).shape
    torch.Size([3, 4, 10])
    """

    def __init__(
        self,
        in_features: int,
        n_tokens: int,
        embedding_size: int = 128,
        hidden_size: int = 256,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.n_tokens = n_tokens
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.embedding = make_embedding(n_tokens, embedding_size, generator)
        self.start = make_linear(in_features, hidden_size, generator)
        self.recurrent = make_recurrent(embedding_size + in_features, hidden_size, generator)
        self.output = make_linear(hidden_size, embedding_size, generator)
        self.bias = nn.Parameter(torch.zeros(n_tokens))

    def begin(self, codes: Tensor) -> Tensor:
        """State (1, n, hidden_size) before the first token."""
        return self.start(codes).tanh()[None]

    def step(self, codes: Tensor, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, n_tokens) of the token after `tokens` (n,), and the next state."""
        seen = torch.cat([self.embedding(tokens), codes], dim=1)
        features, state = self.recurrent(seen[:, None], state)
        return self.logits(self.output(features[:, 0])), state

    def logits(self, features: Tensor) -> Tensor:
        """Logits of all tokens for what the states say (n, embedding_size)."""
        return F.linear(features, self.embedding.weight, self.bias)

    def features(self, codes: Tensor, tokens: Tensor, lengths: Tensor) -> PackedSequence:
        """What states say of the next tokens, after each of `tokens` (n, length)."""
        beside = codes[:, None].expand(-1, tokens.shape[1], -1)
        seen = torch.cat([self.embedding(tokens), beside], dim=2)
        packed = pack_padded_sequence(seen, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = self.recurrent(packed, self.begin(codes))
        return states._replace(data=self.output(states.data))

    def forward(self, codes: Tensor, tokens: Tensor) -> Tensor:
        """Logits (n, length, n_tokens) of the token after each of `tokens` (n, length)."""
        everywhere = torch.full((len(tokens),), tokens.shape[1])
        features, _ = pad_packed_sequence(
            self.features(codes, tokens, everywhere), batch_first=True
        )
        return self.logits(features)


class SequenceAutoencoder(Autoencoder):
    """An encoder and a decoder of sequences of tokens, which share their embedding.

    Parameters
    ----------
    encoder : nn.Module
        From rows of tokens (n, length) to codes, (n, n_components), or (n, 2 * n_components) where
        the posterior is Gaussian.
    decoder : nn.Module
        From codes (n, n_components) and the tokens so far (n, length) to the logits of the next
        ones, (n, length, n_tokens).
    n_components : int
        Width of the code.
    posterior : {"deterministic", "gaussian"}, default="deterministic"
        What the encoder's output means.
    n_classes : int, default=0
        Not used.
    generator : torch.Generator, default=None
        Not used.
    flow : nn.Module, default=None
        None.
    n_tokens : int, default=3
        Number of tokens, the special ones among them.
    longest : int, default=1
        Tokens of the longest sequence that is decoded.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.modules import SequenceAutoencoder, SequenceDecoder, SequenceEncoder
    >>> autoencoder = SequenceAutoencoder(
    ...     SequenceEncoder(10, 2), SequenceDecoder(2, 10), 2, n_tokens=10
    ... )
    >>> autoencoder.encode(torch.tensor([[3.0, 4.0, 0.0]])).shape
    torch.Size([1, 2])
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        n_components: int,
        posterior: str = "deterministic",
        n_classes: int = 0,
        generator: torch.Generator | None = None,
        flow: nn.Module | None = None,
        n_tokens: int = N_SPECIAL_TOKENS,
        longest: int = 1,
    ) -> None:
        super().__init__(encoder, decoder, n_components, posterior, n_classes, flow=flow)
        self.n_tokens = n_tokens
        self.longest = longest
        ours = isinstance(encoder, SequenceEncoder) and isinstance(decoder, SequenceDecoder)
        if ours and encoder.embedding_size == decoder.embedding_size:
            decoder.embedding = encoder.embedding

    @property
    def n_inputs(self) -> int:
        """What the networks are built for: the number of tokens."""
        return self.n_tokens

    def extend_range(self, lower: Tensor, upper: Tensor) -> None:
        """Every token may come at every position, whatever was seen."""
        self.lower = self.lower.new_zeros(1)
        self.upper = self.upper.new_full((1,), float(self.n_tokens - 1))

    def encode(
        self,
        x: Tensor,
        generator: torch.Generator | None = None,
        *,
        bounded: bool = True,
        mapped: bool = True,
    ) -> Tensor:
        """Codes of rows of tokens, which are numbers of any dtype."""
        return self._codes(self.encoder(trimmed(x)).to(x.dtype), generator)

    def predicted(
        self,
        codes: Tensor,
        x: Tensor,
        y: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Log-likelihood (n, 1) of rows of tokens, each given the code and the ones before it.

        With a generator, of tokens that the batch does not hold a draw stands for all.
        """
        return self.token_log_probs(codes, x, generator).sum(dim=1, keepdim=True)

    def token_log_probs(
        self, codes: Tensor, x: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Log-likelihood of each token and the end, (n, length + 1); 0 beyond the end."""
        tokens = trimmed(x)
        lengths = (tokens != PADDING).sum(dim=1) + 1
        seen, following = shifted(tokens, lengths)
        decoder = self.decoder
        if not isinstance(decoder, SequenceDecoder):
            logits = decoder(codes, seen)
            log_probs = -F.cross_entropy(logits.transpose(1, 2), following, reduction="none")
            here = torch.arange(seen.shape[1], device=seen.device) < lengths[:, None]
            return torch.where(here, log_probs, 0.0)
        features = decoder.features(codes, seen, lengths)
        targets = pack_padded_sequence(
            following, lengths.cpu(), batch_first=True, enforce_sorted=False
        ).data
        log_probs = _log_probs(decoder, features.data, targets, generator)
        padded, _ = pad_packed_sequence(features._replace(data=log_probs), batch_first=True)
        return padded


def trimmed(x: Tensor) -> Tensor:
    """Tokens of rows as ints, as many columns as the longest has, one at least."""
    longest = int((x != PADDING).sum(dim=1).amax()) if len(x) else 1
    return x[:, : max(1, longest)].long()


def shifted(tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """What a decoder sees, `END` and the tokens, and what it is to say, the tokens and `END`."""
    end = tokens.new_full((len(tokens), 1), END)
    following = torch.cat([tokens, torch.zeros_like(end)], dim=1)
    following = following.scatter(1, lengths[:, None] - 1, END)
    return torch.cat([end, tokens], dim=1), following


def _log_probs(
    decoder: SequenceDecoder,
    features: Tensor,
    targets: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Log-probabilities (n,) of targets, by a softmax over all tokens or, to train, over some.

    Some are those of the batch, and with them a draw of the others, which counts for all of these:
    the sum of the softmax has the right expectation, and none of the batch is left to chance.
    """
    n_tokens = decoder.n_tokens
    if generator is None or n_tokens <= 2 * _N_SAMPLED:
        at_once = max(1, _VALUES_AT_ONCE // n_tokens)
        return torch.cat(
            [
                -F.cross_entropy(decoder.logits(part), of_part, reduction="none")
                for part, of_part in zip(
                    features.split(at_once), targets.split(at_once), strict=True
                )
            ]
        )
    in_batch = torch.zeros(n_tokens, dtype=torch.bool, device=targets.device)
    in_batch[targets] = True
    own, others = in_batch.nonzero().squeeze(1), (~in_batch).nonzero().squeeze(1)
    order = torch.randperm(len(others), generator=generator, device=targets.device)
    drawn = others[order[:_N_SAMPLED]]
    chosen = torch.cat([own, drawn])
    position = torch.empty(n_tokens, dtype=torch.int64, device=targets.device)
    position[own] = torch.arange(len(own), device=targets.device)
    bias = decoder.bias[chosen]
    stands_for = torch.zeros_like(bias)
    stands_for[len(own) :] = math.log(max(len(others), 1) / max(len(drawn), 1))
    logits = F.linear(features, decoder.embedding.weight[chosen], bias + stands_for)
    return -F.cross_entropy(logits, position[targets], reduction="none")


def generated(
    decoder: Any,
    codes: Tensor,
    longest: int,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Tokens (n, longest) that a decoder says, `PADDING` from the end on.

    With a temperature of 0 each is the most probable one; with another one, a draw from the
    probabilities to the power of its inverse.
    """
    n = len(codes)
    said = torch.zeros((n, longest), dtype=torch.int64, device=codes.device)
    last = torch.full((n,), END, device=codes.device)
    open_ = torch.ones(n, dtype=torch.bool, device=codes.device)
    steps = isinstance(decoder, SequenceDecoder)
    state = decoder.begin(codes) if steps else last[:, None]
    for position in range(longest):
        if steps:
            logits, state = decoder.step(codes, last, state)
        else:
            logits = decoder(codes, state)[:, -1]
        # Nobody wants to read of a word that it is not known.
        logits[:, [PADDING, UNKNOWN]] = -math.inf
        if temperature > 0:
            p = (logits / temperature).softmax(dim=1)
            last = torch.multinomial(p, 1, generator=generator).squeeze(1)
        else:
            last = logits.argmax(dim=1)
        open_ = open_ & (last != END)
        said[:, position] = torch.where(open_, last, PADDING)
        if not bool(open_.any()):
            break
        if not steps:
            state = torch.cat([state, last[:, None]], dim=1)
    return said


def dropped(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Rows of tokens without some of them, each dropped with a probability of `share`."""
    drawn = torch.rand(x.shape, generator=generator, device=x.device)
    gone = drawn < share
    kept_first = gone.to(torch.uint8).sort(dim=1, stable=True).indices
    return x.masked_fill(gone, PADDING).gather(1, kept_first)


def make_embedding(n_tokens: int, embedding_size: int, generator: torch.Generator | None) -> Any:
    """Embedding whose rows have a length of about 1, since they also score states."""
    layer: Any = make_layer(nn.Embedding, n_tokens, embedding_size)
    nn.init.normal_(layer.weight, std=embedding_size**-0.5, generator=generator)
    return layer


def make_linear(n_in: int, n_out: int, generator: torch.Generator | None) -> Any:
    """Linear layer, by Glorot and Bengio (2010)."""
    layer: Any = make_layer(nn.Linear, n_in, n_out)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def make_recurrent(
    n_in: int, n_out: int, generator: torch.Generator | None, *, bidirectional: bool = False
) -> Any:
    """GRU with weights as torch draws them, from a generator."""
    layer = nn.GRU(n_in, n_out, bidirectional=bidirectional, batch_first=True, device="meta")
    if torch.get_default_device().type != "meta":
        layer = layer.to_empty(device="cpu")
    for weight in layer.parameters():
        nn.init.uniform_(weight, -(n_out**-0.5), n_out**-0.5, generator=generator)
    return layer

"""Strings as tokens, and networks of sequences: identities and second computations."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

import sklearn_aae.modules.sequences as sequences
from sklearn_aae._rows.sequences import TokenRows, token_frequencies
from sklearn_aae._rows.strings import read_strings
from sklearn_aae._rows.tokens import Words, fit_tokens
from sklearn_aae.modules import (
    END,
    PADDING,
    UNKNOWN,
    SequenceAutoencoder,
    SequenceDecoder,
    SequenceEncoder,
)
from sklearn_aae.modules.sequences import dropped, generated

STRINGS = ["The cat's out, isn't it?", "the dog ...", "a  cat #1 ##2", "", "כלב גדול", "naïve 東京"]


def fitted(strings, analyzer="word", **parameters):
    defaults = {"lowercase": False, "max_features": None, "min_df": 1, "max_length": 50}
    return fit_tokens(strings, analyzer, **{**defaults, **parameters})


def there_and_back(tokens, strings):
    return tokens.strings(TokenRows(tokens.ids(strings)[0])[:].astype(int)).tolist()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_words_come_back_as_they_were_up_to_runs_of_spaces(string):
    words = Words()
    assert words.join(words.split([string])) == [" ".join(string.split())]


def test_words_and_marks_are_tokens():
    assert Words().split(["Isn't 'it' _num_ e-mail... #1!"]) == [
        ["Isn't", "'it", "##'", "_num_", "e", "##-", "##mail", "##...", "#", "##1", "##!"]
    ]


@pytest.mark.parametrize("analyzer", ["char", "bpe"])
def test_characters_and_pairs_of_bytes_come_back_exactly(analyzer):
    tokens = fitted(STRINGS, analyzer)
    assert there_and_back(tokens, STRINGS) == STRINGS
    assert fitted(STRINGS, analyzer).vocabulary == tokens.vocabulary


def test_a_tokenizer_of_the_user_cuts_and_joins():
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"cat": 7, "dog": 3, "?": 0}, "?"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.CharDelimiterSplit("-")
    tokens = fitted(["cat-dog", "dog-cow"], tokenizer)
    assert tokens.vocabulary == {"?": 0, "cat": 1, "dog": 2}
    assert there_and_back(tokens, ["dog-cat"]) == ["dog cat"]


def test_a_callable_cuts_and_spaces_join():
    tokens = fitted(["a-b", "b-c"], lambda s: s.split("-"))
    assert there_and_back(tokens, ["c-a"]) == ["c a"]
    with pytest.raises(TypeError, match="must return a list of str"):
        fitted(["ab"], lambda s: s)


@pytest.mark.parametrize("parameters", [{}, {"min_df": 2}, {"min_df": 0.7}, {"max_features": 2}])
def test_the_vocabulary_is_that_of_a_count_vectorizer(parameters):
    strings = ["b a a a", "a b c", "a b b D", "d a"]
    expected = CountVectorizer(analyzer=str.split, **parameters).fit([s.lower() for s in strings])
    tokens = fitted(strings, str.split, lowercase=True, **parameters)
    assert tokens.vocabulary == expected.vocabulary_


def test_unknown_tokens_and_long_strings():
    tokens = fitted(["a b", "b c"], max_length=2)
    ids, n_cut = tokens.ids(["a z b", "c", "b a c a"])
    assert n_cut == 2
    assert [row.tolist() for row in ids] == [[3, UNKNOWN], [5], [4, 3]]


def test_tokens_are_needed():
    with pytest.raises(ValueError, match="X holds no token: all strings are empty"):
        fitted(["", "  "])
    with pytest.raises(ValueError, match=r"min_df=3 leaves no token.*Lower min_df"):
        fitted(["a", "b"], min_df=3)


@pytest.mark.parametrize(
    "column",
    [
        list,
        tuple,
        iter,
        np.array,
        lambda s: np.array(s, dtype=object),
        lambda s: np.array(s, dtype=np.dtypes.StringDType()),
        pd.Series,
        lambda s: pd.Series(s, dtype="string[pyarrow]"),
        lambda s: pl.Series(s),
        lambda s: pa.chunked_array([s]),
        pa.array,
    ],
    ids=str.split(
        "list tuple iterator str_array object_array StringDType pandas pandas_arrow polars "
        "chunked_arrow arrow"
    ),
)
def test_strings_are_read_from_any_column(column):
    read = read_strings(column(STRINGS))
    assert read == STRINGS
    assert {type(s) for s in read} == {str}


NONE_AMONG = [
    ["a", None, "b", None],
    pd.Series(["a", None, "b", pd.NA]),
    pl.Series(["a", None, "b", None]),
    pa.array(["a", None, "b", None]),
    np.array(["a", np.nan, "b", np.nan], dtype=object),
]


@pytest.mark.parametrize("X", NONE_AMONG, ids=["list", "pandas", "polars", "arrow", "objects"])
def test_missing_strings_are_counted(X):
    with pytest.raises(ValueError, match="X has 2 missing strings, the first at position 1"):
        read_strings(X)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("a string", TypeError, "got a single str: 'a string'. Pass \\[X\\]"),
        (b"bytes", TypeError, "got a single bytes"),
        (3, TypeError, "an iterable of strings in an order, got int"),
        ({"a", "b"}, TypeError, "an iterable of strings in an order, got set"),
        ([1.0, 2.0], TypeError, "2 of 2 are none, the first at position 0: got 1.0, of type float"),
        (["a", b"b"], TypeError, "position 1: got b'b', of type bytes. Decode bytes first"),
        (np.array([["a", "b"]]), ValueError, r"one-dimensional.*got shape \(1, 2\)"),
        (pd.DataFrame({"a": ["x"]}), ValueError, r"got shape \(1, 1\).*in a ColumnTransformer"),
        (["a", "\ud800"], ValueError, "1 strings with lone surrogates.*position 1"),
        ([], ValueError, "0 sample"),
    ],
    ids=str.split("str bytes int set numbers bytes_in 2d frame surrogates empty"),
)
def test_what_is_no_column_of_strings_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        read_strings(X, min_samples=1)


def test_rows_of_tokens_are_dense_where_they_are_asked_for():
    lists = [[3, 4], [], [5, 6, 7], [8]]
    rows = TokenRows([np.array(tokens, dtype=np.int32) for tokens in lists])
    dense = np.array([tokens + [0] * (3 - len(tokens)) for tokens in lists], dtype=float)
    assert rows.shape == (4, 3)
    for chosen in (slice(None), slice(1, 3), slice(None, None, 2), np.array([3, 0, 0])):
        np.testing.assert_array_equal(rows[chosen], dense[chosen])


def test_frequencies_are_those_of_weighted_rows():
    rows = TokenRows([np.array(t, dtype=np.int32) for t in ([3, 3], [4], [3])])
    log_p, surprise = token_frequencies(rows, 5, np.array([1.0, 2.0, 9.0]), np.array([0, 1]))
    counts = np.array([0, 3, 0, 2, 2]) + 0.5
    np.testing.assert_allclose(np.exp(log_p), counts / counts.sum())
    assert surprise == pytest.approx(-(3 * log_p[END] + 2 * log_p[3] + 2 * log_p[4]) / 3)


N_TOKENS, K = 9, 3


@pytest.fixture(scope="module", name="autoencoder")
def networks():
    generator = torch.Generator().manual_seed(0)
    encoder = SequenceEncoder(N_TOKENS, K, 5, 4, generator)
    decoder = SequenceDecoder(K, N_TOKENS, 5, 6, generator)
    torch.nn.init.normal_(decoder.embedding.weight, generator=generator)
    made = SequenceAutoencoder(encoder, decoder, K, n_tokens=N_TOKENS, longest=4)
    return made.double().eval()


@pytest.fixture(scope="module", name="x")
def rows():
    return torch.tensor([[3, 4, 5, 6], [7, 0, 0, 0], [0, 0, 0, 0], [8, 3, 3, 0]]).double()


def test_both_networks_have_one_embedding(autoencoder):
    assert autoencoder.decoder.embedding is autoencoder.encoder.embedding


def test_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first, second = (
        SequenceDecoder(K, N_TOKENS, generator=torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, first.parameters(), second.parameters()))


def test_codes_do_not_depend_on_the_batch_or_on_padding(autoencoder, x):
    together = autoencoder.encode(x)
    alone = torch.cat([autoencoder.encode(row[None]) for row in x])
    padded = autoencoder.encode(torch.nn.functional.pad(x, (0, 3)))
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-12)
    torch.testing.assert_close(padded, together, rtol=0, atol=1e-12)


def test_the_likelihood_is_the_product_over_tokens_and_the_end(autoencoder, x):
    z = autoencoder.encode(x)
    likelihood = autoencoder.predicted(z, x).squeeze(1)
    for i, row in enumerate(x.long().tolist()):
        tokens = [t for t in row if t != PADDING]
        seen = torch.tensor([[END, *tokens]])
        log_p = autoencoder.decoder(z[[i]], seen)[0].log_softmax(dim=1)
        expected = sum(log_p[j, t] for j, t in enumerate([*tokens, END]))
        assert likelihood[i].item() == pytest.approx(expected.item(), abs=1e-12)


def test_one_step_after_the_other_is_all_at_once(autoencoder, x):
    decoder, z = autoencoder.decoder, autoencoder.encode(x)
    seen = torch.tensor([[END, 3, 4]]).expand(len(x), -1)
    state, logits = decoder.begin(z), []
    for position in range(3):
        of_next, state = decoder.step(z, seen[:, position], state)
        logits.append(of_next)
    torch.testing.assert_close(torch.stack(logits, dim=1), decoder(z, seen))


class Wrapped(torch.nn.Module):
    """A decoder of the user, which has no steps."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, codes, tokens):
        return self.decoder(codes, tokens)


def test_a_decoder_of_the_user_says_the_same(autoencoder, x):
    wrapped = SequenceAutoencoder(autoencoder.encoder, Wrapped(autoencoder.decoder), K)
    z = autoencoder.encode(x)
    torch.testing.assert_close(wrapped.predicted(z, x), autoencoder.predicted(z, x))
    z = 5 * torch.randn(50, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(generated(wrapped.decoder, z, 6), generated(autoencoder.decoder, z, 6))


def test_each_generated_token_is_the_most_probable_one(autoencoder):
    z = 5 * torch.randn(50, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    said = generated(autoencoder.decoder, z, 6)
    logits = autoencoder.decoder(z, torch.cat([torch.full((50, 1), END), said[:, :-1]], dim=1))
    logits[:, :, [PADDING, UNKNOWN]] = -math.inf
    best = logits.argmax(dim=2)
    for row, wanted in zip(said.tolist(), best.tolist(), strict=True):
        n = row.index(PADDING) if PADDING in row else len(row)
        assert row[:n] == wanted[:n]
        assert n == len(row) or wanted[n] == END
        assert not any(row[n:])
    assert len({tuple(row) for row in said.tolist()}) > 1


def test_draws_have_the_probabilities_of_the_model(autoencoder):
    z = torch.ones(20_000, K, dtype=torch.float64)
    for temperature in (0.5, 1.0):
        generator = torch.Generator().manual_seed(0)
        first = generated(autoencoder.decoder, z, 1, temperature, generator)[:, 0]
        logits = autoencoder.decoder(z[:1], torch.tensor([[END]]))[0, 0] / temperature
        logits[[PADDING, UNKNOWN]] = -math.inf
        p = logits.softmax(dim=0)
        p = torch.cat([p[[END]], p[3:]])  # the end is said by saying nothing
        share = first.bincount(minlength=N_TOKENS) / len(z)
        share = torch.cat([share[[PADDING]], share[3:]])
        assert (share - p).abs().max() < 0.015


def test_some_tokens_stand_for_all_in_a_softmax_of_training(autoencoder, x, monkeypatch):
    x = x[:1]  # four tokens are not in it
    z = autoencoder.encode(x)
    exact = autoencoder.token_log_probs(z, x)

    def trained(seed):
        return autoencoder.token_log_probs(z, x, torch.Generator().manual_seed(seed))

    torch.testing.assert_close(trained(0), exact)  # so few tokens that all are taken
    monkeypatch.setattr(sequences, "_N_SAMPLED", 4)
    torch.testing.assert_close(trained(0), exact)  # all four are drawn
    monkeypatch.setattr(sequences, "_N_SAMPLED", 2)
    drawn = torch.stack([trained(seed) for seed in range(200)])
    assert drawn.std(dim=0).min() > 0
    # What the softmax divides by is right on average, and so, nearly, is its logarithm.
    torch.testing.assert_close(drawn.neg().exp().mean(dim=0), exact.neg().exp(), rtol=0.03, atol=0)


def test_dropped_tokens_leave_the_others_in_their_order():
    x = torch.arange(3, 1003).reshape(100, 10).float()
    x[:, 7:] = PADDING
    left = dropped(x, 0.3, torch.Generator().manual_seed(0))
    for before, after in zip(x.tolist(), left.tolist(), strict=True):
        kept = [t for t in after if t != PADDING]
        assert after == kept + [0.0] * (10 - len(kept))
        assert kept == [t for t in before if t in kept]
    assert (left != PADDING).sum().item() / 700 == pytest.approx(0.7, abs=0.06)
    assert torch.equal(dropped(x, 0.0, torch.Generator()), x)
